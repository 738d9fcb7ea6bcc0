// The databases of the server. An engine has one database: each is an engine of its own, and CREATE
// DATABASE starts one from the files of another.

import { Database } from "./database.js";

const CREATE = /^\s*CREATE\s+DATABASE\s+"?(\w+)"?(?:\s+TEMPLATE\s+"?(\w+)"?)?\s*;?\s*$/i;
const DROP = /^\s*DROP\s+DATABASE\s+"?(\w+)"?(\s+WITH\s*\(\s*FORCE\s*\))?\s*;?\s*$/i;
const EMPTY = ["template0", "template1"];

/** A refusal with PostgreSQL's own code. */
export class Refusal extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

export class Databases {
  #program;
  #base;
  #patience;
  // Name to { files } while nobody has asked anything of it, else to { database }.
  #entries = new Map();
  #spare = null;

  constructor(program, base, patience) {
    this.#program = program;
    this.#base = base;
    this.#patience = patience;
    for (const name of ["postgres", "marketdata"]) this.#entries.set(name, { files: base });
  }

  /** Find a database to connect to; its engine starts with the first statement. */
  open(name) {
    const entry = this.#entries.get(name);
    if (!entry) throw new Refusal("3D000", `database "${name}" does not exist`);
    if (!entry.database) {
      entry.database = new Database(this.#program, entry.files, this.#patience);
      entry.files = null;
    }
    return entry.database;
  }

  /**
   * Run CREATE DATABASE and DROP DATABASE.
   *
   * @returns {Promise<string|null>} the command's tag; null where `sql` is another statement
   */
  async administer(sql) {
    const create = CREATE.exec(sql);
    if (create) {
      await this.#create(create[1], create[2] ?? "template1");
      return "CREATE DATABASE";
    }
    const drop = DROP.exec(sql);
    if (drop) {
      await this.#drop(drop[1], Boolean(drop[2]));
      return "DROP DATABASE";
    }
    return null;
  }

  async #create(name, template) {
    if (this.#entries.has(name)) throw new Refusal("42P04", `database "${name}" already exists`);
    const files = await this.#filesOf(template);
    this.#entries.set(name, { database: this.#start(files) });
    // Starting takes most of a second: the next copy is begun while this one is in use.
    this.#spare = { files, database: this.#launch(files) };
  }

  async #drop(name, isForced) {
    const entry = this.#entries.get(name);
    if (!entry) throw new Refusal("3D000", `database "${name}" does not exist`);
    if (entry.database?.clients.size && !isForced) this.#refuseInUse(name);
    this.#entries.delete(name);
    await entry.database?.end();
  }

  // What is copied goes to sleep, so that the next copy needs only its files.
  async #filesOf(name) {
    if (EMPTY.includes(name)) return this.#base;
    const entry = this.#entries.get(name);
    if (!entry) throw new Refusal("3D000", `template database "${name}" does not exist`);
    const { database } = entry;
    if (database) {
      if (database.clients.size) this.#refuseInUse(name);
      entry.files = await database.dump();
      entry.database = null;
      await database.end();
    }
    return entry.files;
  }

  #start(files) {
    const spare = this.#spare;
    this.#spare = null;
    if (spare?.files === files) return spare.database;
    spare?.database.end();
    return this.#launch(files);
  }

  #launch(files) {
    const database = new Database(this.#program, files, this.#patience);
    database.wake();
    return database;
  }

  #refuseInUse(name) {
    throw new Refusal("55006", `database "${name}" is being accessed by other users`);
  }
}
