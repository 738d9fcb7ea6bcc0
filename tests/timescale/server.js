// Serves TimescaleDB, under its community licence, to PostgreSQL's clients on a port of loopback.
//
//   npm run serve
//
// Prints {"port": ...} as a line once it serves, and ends with its standard input: with whoever
// started it, however that ended. Every client is let in: it serves a test, for as long as that runs.

import { readFile } from "node:fs/promises";
import net from "node:net";

import { Client } from "./client.js";
import { Databases } from "./databases.js";
import { loadProgram } from "./engine.js";

// As long as the service's own lock_timeout.
const PATIENCE_MS = Number(process.env.PATIENCE_MS ?? 10_000);

const base = new Blob([await readFile(new URL("./base.tar", import.meta.url))]);
const databases = new Databases(await loadProgram(), base, PATIENCE_MS);
const server = net.createServer((socket) => new Client(socket, databases));

process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
