// What the programs for tests/compat/libraries share: waiting for a condition, and the line that says
// what came of the jobs. It knows no library.
"use strict";

const PORT = Number(process.argv[2]);
const CLIENTS = 20;
// What a socket needs where PORT speaks TLS: who has signed its certificate.
const AUTHORITY = process.env.TEST_TLS_AUTHORITY;
const TLS = AUTHORITY && { ca: require("node:fs").readFileSync(AUTHORITY) };

// Polls until `probe` is true.
async function eventually(probe) {
  const deadline = Date.now() + 20000;
  while (!(await probe())) {
    if (Date.now() > deadline) throw new Error("not within 20 s");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

// What it came to, or the text of the error.
async function said(promise) {
  try {
    return await promise;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

// The version that is installed.
function version(library) {
  const path = require("node:path");
  const file = path.join(process.env.NODE_PATH, library, "package.json");
  return JSON.parse(require("node:fs").readFileSync(file, "utf8")).version;
}

// Says what came of the jobs, keeps all connections until the input ends, and ends the program.
function report(library, jobs, name = library) {
  console.log(JSON.stringify({ library: name, version: version(library), jobs }));
  process.stdin.on("end", () => process.exit(0)).resume();
}

// Runs the program; what goes wrong is its end.
function run(main) {
  main().catch((error) => {
    console.error(error);
    process.exit(1);
  });
}

module.exports = { CLIENTS, PORT, TLS, eventually, report, run, said };
