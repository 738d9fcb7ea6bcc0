// A database: an engine in a thread of its own, and the clients that take turns on it.

import { Worker } from "node:worker_threads";

import { closeStatement, errorResponse, query, readyForQuery, split, sync, typeOf } from "./messages.js";
import { Turns } from "./turns.js";

const quoted = (value) => `'${value.replaceAll("'", "''")}'`;

export class Database {
  #thread = null;
  #workerData;
  #orders = new Map();
  #lastId = 0;
  #failure = null;
  #sessionOf = null;
  #leftStatements = [];
  clients = new Set();

  constructor(program, files, patience) {
    this.turns = new Turns(patience);
    this.#workerData = { program, files };
  }

  /** Start the engine, unless it was. */
  wake() {
    if (this.#thread) return;
    const options = { workerData: this.#workerData };
    this.#thread = new Worker(new URL("./engine_thread.js", import.meta.url), options);
    this.#thread.on("message", ({ id, answer, failure }) => {
      const { resolve, reject } = this.#orders.get(id);
      this.#orders.delete(id);
      if (failure === undefined) resolve(answer);
      else reject(new Error(failure));
    });
    this.#thread.on("error", (error) => this.#fail(error));
  }

  get hasEnded() {
    return this.#failure !== null;
  }

  /** Let the engine answer messages of the protocol. */
  async run(bytes) {
    return Buffer.from(await this.#order({ order: "run", bytes }));
  }

  /** Take a copy of the data folder. */
  async dump() {
    await this.run(query("CHECKPOINT")); // what opens the copy then has nothing to recover
    return this.#order({ order: "dump" });
  }

  /**
   * Make the one session look like `client`'s own: its settings, and nothing of the one before.
   *
   * @returns {Promise<Buffer|null>} what the engine said against it
   */
  async enterSession(client) {
    if (this.#sessionOf === client) return null;
    const closing = this.#leftStatements.splice(0).map(closeStatement);
    // The engine starts with a search path of its own, which is what RESET goes back to.
    const statements = ["RESET ALL", 'SET search_path = "$user", public'];
    // The first turn of the only client: what locks and temporary tables there are belong to nobody.
    if (this.clients.size === 1 && client.isNew) statements.push("DISCARD TEMP", "SELECT pg_advisory_unlock_all()");
    for (const [name, value] of Object.entries(client.settings)) {
      statements.push(`SET ${name} = ${quoted(value)}`);
    }
    statements.push(...client.setStatements.values());
    if (closing.length) await this.run(Buffer.concat([...closing, sync()]));
    const answer = await this.run(query(statements.join(";")));
    const refusal = [...split(answer)].find((frame) => typeOf(frame) === "E");
    this.#sessionOf = refusal ? null : client;
    client.isNew = false;
    return refusal ?? null;
  }

  /** Drop prepared statements, with the next change of turns. */
  forget(statements) {
    this.#leftStatements.push(...statements);
  }

  /** Forget a client that is gone, and its prepared statements. */
  leave(client, statements) {
    this.clients.delete(client);
    this.forget(statements);
    if (this.#sessionOf === client) this.#sessionOf = null;
  }

  /** End the engine and every connection to it. */
  async end() {
    this.#fail("it was dropped");
    for (const client of this.clients) client.destroy();
    await this.#thread?.terminate();
  }

  #order(order) {
    if (this.#failure) return Promise.reject(this.#failure);
    this.wake();
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#orders.set(id, { resolve, reject });
      this.#thread.postMessage({ id, ...order });
    });
  }

  #fail(error) {
    this.#failure = new Error(`this database has ended: ${error.message ?? error}`);
    for (const { reject } of this.#orders.values()) reject(this.#failure);
    this.#orders.clear();
  }
}

/** What a client is told when the engine could not even answer. */
export function failureResponse(error) {
  return Buffer.concat([errorResponse("XX000", error.message), readyForQuery("I")]);
}
