// Makes base.tar: an empty database with TimescaleDB in it, as the official images have it. initdb
// and the extension take three seconds, which a start from these files does not.

import { writeFile } from "node:fs/promises";

import { DATABASE, loadProgram, startEngine } from "./engine.js";

async function filesOf(engine, sql) {
  await engine.exec(sql);
  await engine.exec("CHECKPOINT");
  const files = await engine.dumpDataDir("none");
  await engine.close();
  return files;
}

const program = await loadProgram();
const cluster = await filesOf(await startEngine(program), `CREATE DATABASE ${DATABASE}`);
const base = await filesOf(await startEngine(program, cluster), "CREATE EXTENSION timescaledb");
await writeFile("base.tar", Buffer.from(await base.arrayBuffer()));
