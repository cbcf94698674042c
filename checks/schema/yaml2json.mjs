// SPDX-License-Identifier: Apache-2.0
// Prints YAML files as one JSON array, for the checks in Python (which has no YAML of its own).
import fs from "node:fs";
import { parse } from "yaml";

console.log(JSON.stringify(process.argv.slice(2).map((file) => parse(fs.readFileSync(file, "utf8")))));
