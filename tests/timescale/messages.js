// Messages of PostgreSQL's protocol, version 3: taken apart and put together, without any IO.

export const CANCEL_REQUEST = 80877102;
export const SSL_REQUEST = 80877103;
export const GSS_REQUEST = 80877104;

const TYPE_AND_LENGTH = 5;

export const text = (value) => Buffer.from(`${value}\0`);

function int32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** Put a message together: a letter, the length and the parts. */
export function message(type, ...parts) {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type, "latin1"), int32(body.length + 4), body]);
}

export const query = (sql) => message("Q", text(sql));
export const closeStatement = (name) => message("C", Buffer.from("S"), text(name));
export const sync = () => message("S");
export const commandComplete = (tag) => message("C", text(tag));
export const readyForQuery = (status) => message("Z", Buffer.from(status));

export function copyInResponse(isBinary) {
  // The number of columns is not known before the statement runs; psycopg does not look at it.
  return message("G", Buffer.from([isBinary ? 1 : 0, 0, 0]));
}

export function errorResponse(code, explanation, severity = "ERROR") {
  const fields = { S: severity, V: severity, C: code, M: explanation };
  const parts = Object.entries(fields).map(([field, value]) => text(field + value));
  return message("E", ...parts, Buffer.from([0]));
}

/** What a client is told once its start is accepted. */
export function greeting(pid, parameters) {
  return Buffer.concat([
    message("R", int32(0)),
    ...Object.entries(parameters).map(([name, value]) => message("S", text(name), text(value))),
    message("K", int32(pid), int32(pid)),
    readyForQuery("I"),
  ]);
}

/** Take the whole messages off the front of `bytes`. */
export function* split(bytes) {
  let at = 0;
  while (bytes.length - at >= TYPE_AND_LENGTH) {
    const length = bytes.readInt32BE(at + 1) + 1;
    if (bytes.length - at < length) return;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

export const typeOf = (frame) => String.fromCharCode(frame[0]);

/** Read the zero-terminated text that begins at `at`. */
export const textAt = (frame, at) => frame.toString("utf8", at, frame.indexOf(0, at));

/** Where the name of a prepared statement begins in Parse, Bind, Describe and Close; else -1. */
export function statementNameAt(frame) {
  switch (typeOf(frame)) {
    case "P":
      return TYPE_AND_LENGTH;
    case "B": // after the portal's name
      return frame.indexOf(0, TYPE_AND_LENGTH) + 1;
    case "D":
    case "C":
      return String.fromCharCode(frame[TYPE_AND_LENGTH]) === "S" ? TYPE_AND_LENGTH + 1 : -1;
    default:
      return -1;
  }
}

/** The statement of Query and Parse; else null. */
export function sqlOf(frame) {
  if (typeOf(frame) === "Q") return textAt(frame, TYPE_AND_LENGTH);
  if (typeOf(frame) === "P") return textAt(frame, frame.indexOf(0, TYPE_AND_LENGTH) + 1);
  return null;
}

/** Make a Parse of an unnamed statement. */
export const parse = (sql) => message("P", text(""), text(sql), Buffer.alloc(2));

/** Insert `prefix` at `at`. */
export function inserted(frame, at, prefix) {
  const longer = Buffer.concat([frame.subarray(0, at), Buffer.from(prefix), frame.subarray(at)]);
  longer.writeInt32BE(longer.length - 1, 1);
  return longer;
}

/** Read a startup message: its parameters, and the settings among its options. */
export function startup(frame) {
  const parts = frame.toString("utf8", 8, frame.length - 2).split("\0");
  const parameters = {};
  for (let i = 0; i + 1 < parts.length; i += 2) parameters[parts[i]] = parts[i + 1];
  return { parameters, settings: settingsOf(parameters.options ?? "") };
}

// "-c name=value --name=value", a blank within a value behind a backslash.
function settingsOf(options) {
  const words = (options.match(/(?:\\.|[^\\\s])+/g) ?? []).map((word) => word.replace(/\\(.)/g, "$1"));
  const settings = {};
  for (const word of words) {
    const found = /^(?:-c|--)?([\w.-]+)=(.*)$/s.exec(word);
    if (found) settings[found[1].replaceAll("-", "_")] = found[2];
  }
  return settings;
}
