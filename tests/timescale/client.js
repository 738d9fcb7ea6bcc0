// A client's connection: its messages go to the engine in whole batches, while it has the turn.

import { Refusal } from "./databases.js";
import { failureResponse } from "./database.js";
import * as wire from "./messages.js";
import { TurnError } from "./turns.js";

const BEFORE_START = 8;
const PARAMETERS = {
  server_version: "17.5",
  server_encoding: "UTF8",
  client_encoding: "UTF8",
  DateStyle: "ISO, MDY",
  IntervalStyle: "postgres",
  TimeZone: "GMT",
  integer_datetimes: "on",
  standard_conforming_strings: "on",
  is_superuser: "on",
  session_authorization: "postgres",
  default_transaction_read_only: "off",
  in_hot_standby: "off",
};
// A comment may stand before a statement.
const LEAD = String.raw`^(?:\s|--[^\n]*\n|/\*.*?\*/)*`;
const COPY_IN = new RegExp(`${LEAD}copy\\s[^;]*\\bfrom\\s+stdin\\b`, "is");
const LISTEN = new RegExp(`${LEAD}listen\\s+("?)(\\w+)\\1`, "is");
const UNLISTEN = new RegExp(`${LEAD}unlisten\\b`, "is");
const FORGET = new RegExp(`${LEAD}(deallocate|discard)\\s+all\\b`, "is");
const SET = new RegExp(
  `${LEAD}set\\s+(?:session\\s+)?(?!(?:local|transaction|constraints|role|session)\\b)([\\w.]+)\\s*(?:=|to\\b)`,
  "is",
);

let lastPid = 0;

export class Client {
  #socket;
  #databases;
  #database = null;
  #pid = ++lastPid;
  #received = [];
  #receivedBytes = 0;
  #neededBytes = BEFORE_START;
  #batch = [];
  #copy = null;
  #work = Promise.resolve();
  #status = "I";
  #skipsToSync = false;
  #statements = new Set();
  #channels = new Set();
  isNew = true;
  settings = {};
  setStatements = new Map();

  constructor(socket, databases) {
    this.#socket = socket;
    this.#databases = databases;
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.#receive(bytes));
    socket.on("error", () => socket.destroy()); // "close" follows, and does what is to be done
    socket.on("close", () => this.#then(() => this.#leave()));
  }

  destroy() {
    this.#socket.destroy();
  }

  /** Deliver a notification, if the client listens to its channel. */
  notify(channel, frame) {
    if (this.#channels.has(channel)) this.#write(frame);
  }

  // One thing after another, in the order in which it was asked for.
  #then(step) {
    this.#work = this.#work.then(step).catch((error) => {
      console.error(error);
      this.destroy();
    });
  }

  #write(bytes) {
    if (bytes.length && this.#socket.writable) this.#socket.write(bytes);
  }

  #receive(bytes) {
    this.#received.push(bytes);
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes < this.#neededBytes) return; // a long message is joined once, not often
    let left = Buffer.concat(this.#received);
    while (this.#database === null && left.length >= BEFORE_START) {
      const length = left.readInt32BE(0);
      if (left.length < length) break;
      this.#start(left.subarray(0, length));
      if (this.#socket.destroyed || this.#socket.writableEnded) return;
      left = left.subarray(length);
    }
    if (this.#database !== null) {
      for (const frame of wire.split(left)) {
        this.#handle(frame);
        left = left.subarray(frame.length);
      }
    }
    this.#received = [left];
    this.#receivedBytes = left.length;
    this.#neededBytes = left.length >= 5 && this.#database ? left.readInt32BE(1) + 1 : 0;
  }

  #start(frame) {
    const code = frame.readInt32BE(4);
    if (code === wire.SSL_REQUEST || code === wire.GSS_REQUEST) return this.#write(Buffer.from("N"));
    if (code === wire.CANCEL_REQUEST) return this.#socket.end(); // an engine does not look up while it works
    const { parameters, settings } = wire.startup(frame);
    this.settings = { application_name: parameters.application_name ?? "", ...settings };
    try {
      this.#database = this.#databases.open(parameters.database ?? parameters.user);
    } catch (error) {
      return this.#socket.end(wire.errorResponse(error.code, error.message, "FATAL"));
    }
    this.#database.clients.add(this);
    const zone = settings.timezone ?? settings.TimeZone ?? PARAMETERS.TimeZone;
    this.#write(wire.greeting(this.#pid, { ...PARAMETERS, TimeZone: zone }));
  }

  #handle(frame) {
    const type = wire.typeOf(frame);
    if (type === "X") return this.#socket.end();
    if (this.#copy) return this.#collectCopy(type, frame);
    if (type === "Q" && COPY_IN.test(wire.sqlOf(frame))) return this.#beginCopy(frame);
    this.#batch.push(this.#named(frame));
    // The engine cannot wait for more input: it gets what belongs together at once.
    if (type === "Q" || type === "S" || type === "H") {
      const batch = this.#batch.splice(0);
      // Nothing is held back that a lone Flush could ask for, and no Sync need follow it.
      if (type === "H" && batch.length === 1) return;
      this.#then(() => this.#answer(batch, type));
    }
  }

  // The engine is given the statement together with the data, so its request for data is made up.
  #beginCopy(frame) {
    this.#copy = [frame];
    const isBinary = /\bbinary\b/i.test(wire.sqlOf(frame));
    this.#then(() => this.#write(wire.copyInResponse(isBinary)));
  }

  #collectCopy(type, frame) {
    if (!"dcf".includes(type)) return; // Flush and Sync mean nothing within a COPY
    this.#copy.push(frame);
    if (type === "d") return;
    const batch = this.#copy;
    this.#copy = null;
    this.#then(() => this.#answer(batch, "Q", { isCopy: true }));
  }

  // Prepared statements are the session's, which all share: each client's have a prefix of their own.
  #named(frame) {
    if (wire.typeOf(frame) === "P" && FORGET.test(wire.sqlOf(frame))) return this.#forgetting();
    const at = wire.statementNameAt(frame);
    if (at < 0 || frame[at] === 0) return frame;
    const longer = wire.inserted(frame, at, `c${this.#pid}_`);
    if (wire.typeOf(frame) === "P") this.#statements.add(wire.textAt(longer, at));
    return longer;
  }

  // As in a simple query, but within a batch: the statements go with the next change of turns, and
  // what stands in their place does nothing. Drivers give no name a second time.
  #forgetting() {
    this.#database.forget(this.#statements);
    this.#statements.clear();
    return wire.parse("DO 'BEGIN END'");
  }

  async #answer(batch, last, { isCopy = false } = {}) {
    if (this.#skipsToSync) {
      this.#skipsToSync = last === "H";
      if (!this.#skipsToSync) this.#write(wire.readyForQuery(this.#status));
      return;
    }
    const answer = await this.#answerOf(batch, last);
    this.#write(this.#read(answer, isCopy));
    const { turns } = this.#database;
    if (turns.holder === this && this.#status === "I" && last !== "H") turns.give();
  }

  async #answerOf(batch, last) {
    try {
      const own = last === "Q" ? await this.#ownAnswer(wire.sqlOf(batch[0])) : null;
      if (own) return own;
      const refusal = await this.#takeTurn();
      if (refusal) return this.#refused(refusal, last);
      batch.forEach((frame) => this.#note(wire.sqlOf(frame)));
      return await this.#database.run(Buffer.concat(batch));
    } catch (error) {
      if (error instanceof TurnError) return this.#refused(wire.errorResponse("55P03", error.message), last);
      if (error instanceof Refusal) return this.#refused(wire.errorResponse(error.code, error.message), last);
      return failureResponse(error);
    }
  }

  #refused(refusal, last) {
    this.#skipsToSync = last === "H";
    return this.#skipsToSync ? refusal : Buffer.concat([refusal, wire.readyForQuery(this.#status)]);
  }

  async #takeTurn() {
    const { turns } = this.#database;
    if (turns.holder === this) return null;
    await turns.take(this);
    return this.#database.enterSession(this);
  }

  // What must not reach the session, because it is not this client's alone.
  async #ownAnswer(sql) {
    const tag = await this.#databases.administer(sql);
    if (tag) return this.#done(tag);
    if (UNLISTEN.test(sql)) {
      this.#channels.clear();
      return this.#done("UNLISTEN");
    }
    if (!FORGET.test(sql)) return null;
    const refusal = await this.#takeTurn();
    if (refusal) return this.#refused(refusal, "Q");
    const closing = [...this.#statements].map(wire.closeStatement);
    this.#statements.clear();
    await this.#database.run(Buffer.concat([...closing, wire.sync()]));
    return this.#done("DEALLOCATE ALL");
  }

  #done(tag) {
    return Buffer.concat([wire.commandComplete(tag), wire.readyForQuery(this.#status)]);
  }

  #note(sql) {
    if (sql === null) return;
    const listen = LISTEN.exec(sql);
    if (listen) this.#channels.add(listen[1] ? listen[2] : listen[2].toLowerCase());
    const set = SET.exec(sql);
    if (set && this.#status === "I") this.setStatements.set(set[1].toLowerCase(), sql);
  }

  // Look through an answer: the state of the transaction, and notifications, which are for everybody.
  #read(answer, isCopy) {
    const own = [];
    for (const frame of wire.split(answer)) {
      const type = wire.typeOf(frame);
      if (type === "Z") this.#status = String.fromCharCode(frame[5]);
      if (type === "A") {
        for (const client of this.#database.clients) client.notify(wire.textAt(frame, 9), frame);
      } else if (type !== "G" || !isCopy) own.push(frame);
    }
    return Buffer.concat(own);
  }

  async #leave() {
    const database = this.#database;
    if (!database || database.hasEnded) return;
    if (database.turns.holder === this) {
      if (this.#status !== "I") await database.run(wire.query("ROLLBACK"));
      database.turns.give();
    }
    database.leave(this, this.#statements);
  }
}
