// Reads StreamBars as any other language would: by the contract alone, with nothing of ours installed.
//
//   npm run read -- ADDRESS PROTOS REQUEST
//
// PROTOS is the folder of the contract, REQUEST a StreamBarsRequest as JSON. Each message of the answer is
// printed as a line of JSON. Numbers are printed as texts: JSON has no NaN, and int64 does not fit a number.
"use strict";

const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const DEADLINE_MS = 20_000;

const [address, protos, request] = process.argv.slice(2);
const definition = loader.loadSync("bifrost/marketdata/v1/bars_service.proto", {
  includeDirs: [protos],
  keepCase: true,
  longs: String,
  enums: String,
  oneofs: true,
  defaults: true,
});
const { BarsService } = grpc.loadPackageDefinition(definition).bifrost.marketdata.v1;
const client = new BarsService(address, grpc.credentials.createInsecure());

const printed = (key, value) => (typeof value === "number" ? String(value) : value);

const call = client.StreamBars(JSON.parse(request), { deadline: Date.now() + DEADLINE_MS });
call.on("data", (message) => console.log(JSON.stringify(message, printed)));
call.on("error", (error) => {
  console.error(`${grpc.status[error.code]}: ${error.details}`);
  process.exitCode = 1;
});
call.on("end", () => client.close());
