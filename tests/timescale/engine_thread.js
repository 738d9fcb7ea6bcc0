// A thread with one engine. Ending the thread gives all of its memory back, which closing an engine
// does not.

import { parentPort, workerData } from "node:worker_threads";

import { startEngine } from "./engine.js";

const engine = await startEngine(workerData.program, workerData.files);

// As a server's shared_preload_libraries does. Otherwise the extension sleeps until the first statement
// that calls it, and a COPY into a hypertable before that is refused.
await engine.exec("LOAD 'timescaledb'");

const orders = {
  // The answer comes as it is, errors too: they are the client's business.
  run: (bytes) => engine.execProtocolRaw(bytes, { throwOnError: false }),
  dump: () => engine.dumpDataDir("none"),
};

parentPort.on("message", async ({ id, order, bytes }) => {
  try {
    parentPort.postMessage({ id, answer: await orders[order](bytes) });
  } catch (error) {
    parentPort.postMessage({ id, failure: String(error?.message ?? error) });
  }
});
