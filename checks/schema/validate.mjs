// SPDX-License-Identifier: Apache-2.0
// Validates dashboards against the types Grafana publishes as @grafana/schema, for Grafana 10 to 13.
//
//     npm ci && node validate.mjs ../../grafana/dashboards/*.json
//
// It also breaks the overview in some ways and fails if a break goes unnoticed.
//
// Each dashboard becomes a TypeScript literal that has to be assignable to `Dashboard`, with each
// panel's options and field configuration replaced by the types of its panel plugin. A literal may
// not have unknown keys, so a misspelt option is an error. A key that only some of the four versions
// know is allowed (the others ignore it), its value must fit where the key is known.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = path.dirname(fileURLToPath(import.meta.url));
const VERSIONS = [10, 11, 12, 13];
const PANELS = ["bargauge", "heatmap", "stat", "statetimeline", "table", "timeseries"];
const UNKNOWN_KEY = new Set([2353, 2561]);

// JSON has no enums: their values stand for them. Options that are left out get Grafana's defaults.
const HELPERS = `
  type Json<T> =
    T extends string ? \`\${T}\` :
    T extends number ? (\`\${T}\` extends \`\${infer N extends number}\` ? N : T) :
    T extends boolean | null | undefined ? T :
    T extends (infer I)[] ? Json<I>[] :
    T extends object ? { [K in keyof T]: Json<T[K]> } : T;
  type Sparse<T> =
    T extends string | number | boolean | null | undefined ? Json<T> :
    T extends (infer I)[] ? Sparse<I>[] :
    T extends object ? { [K in keyof T]?: Sparse<T[K]> } : T;
  type Property<Custom> =
    | { [K in keyof d.FieldConfig & string]-?: { id: K; value: Json<NonNullable<d.FieldConfig[K]>> } }[keyof d.FieldConfig & string]
    | { [K in keyof Custom & string]-?: { id: \`custom.\${K}\`; value: Sparse<NonNullable<Custom[K]>> } }[keyof Custom & string];
  type PanelOf<Type, Options, Custom> = Omit<Json<d.Panel>, "type" | "options" | "fieldConfig" | "targets"> & {
    type: Type;
    options: Sparse<Options>;
    targets: Json<prometheus.PrometheusDataQuery>[];
    fieldConfig: {
      defaults: Omit<Json<d.FieldConfig>, "custom"> & { custom?: Sparse<Custom> };
      overrides: { matcher: Json<d.MatcherConfig>; properties: Property<Custom>[] }[];
    };
  };
  type Row = Omit<Json<d.RowPanel>, "panels"> & { panels: Panel[] };
  // What the Prometheus data source reads of an annotation, beyond what all annotations have.
  type Annotation = Json<d.AnnotationQuery> & {
    expr?: string; step?: string; titleFormat?: string; textFormat?: string; useValueForTime?: "on";
  };
  type Board = Omit<Json<d.Dashboard>, "panels" | "annotations"> & {
    panels: (Panel | Row)[]; annotations: { list: Annotation[] };
  };
`;

function typesOf(version, ending) {
  const root = path.join(here, "node_modules", `schema-${version}`, "dist");
  const found = fs.readdirSync(root, { recursive: true }).map(String)
    .filter((name) => name.endsWith("types.gen.d.ts") && path.dirname(name).endsWith(ending)).sort();
  if (found.length === 0) throw new Error(`@grafana/schema ${version} has no types for ${ending}`);
  // Where there are both esm/ and types/, the last in order is types/.
  return path.join(root, found.at(-1)).replace(/\.d\.ts$/, "");
}

function main(version) {
  const manifest = JSON.parse(fs.readFileSync(path.join(here, "node_modules", `schema-${version}`, "package.json"), "utf8"));
  return path.join(here, "node_modules", `schema-${version}`, manifest.types);
}

function sourceFor(version, text) {
  const imports = [
    ["d", typesOf(version, "raw/dashboard/x")],
    // Published up to Grafana 10 only; the query model has not changed since.
    ["prometheus", typesOf(10, "raw/composable/prometheus/dataquery/x")],
    ...PANELS.map((panel) => [panel, typesOf(version, `raw/composable/${panel}/panelcfg/x`)]),
  ];
  const panels = PANELS.map((panel) => {
    const type = panel === "statetimeline" ? "state-timeline" : panel;
    // A stat and a bar gauge have no field options of their own.
    const custom = ["bargauge", "stat"].includes(panel) ? "{}" : `${panel}.FieldConfig`;
    return `PanelOf<"${type}", ${panel}.Options, ${custom}>`;
  });
  const head = imports.map(([name, file]) => `import type * as ${name} from ${JSON.stringify(file)};`).join("\n")
    + HELPERS + `type Panel = ${panels.join(" | ")};\n`;
  return { head, text: `${head}export const dashboard: Board =\n${text};\n` };
}

function check(version, texts) {
  const options = {
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    noEmit: true,
    paths: { "@grafana/schema": [main(version)] },
    skipLibCheck: true,
    strict: true,
    target: ts.ScriptTarget.ES2022,
    types: [],
  };
  const sources = new Map([...texts].map(([name, text]) => [
    path.resolve(`${name}.${version}.ts`), { name, ...sourceFor(version, text) },
  ]));
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (name) => sources.has(name) || fileExists(name);
  host.readFile = (name) => sources.get(name)?.text ?? readFile(name);
  host.getSourceFile = (name, ...rest) => sources.has(name)
    ? ts.createSourceFile(name, sources.get(name).text, ts.ScriptTarget.ES2022)
    : getSourceFile(name, ...rest);

  const program = ts.createProgram([...sources.keys()], options, host);
  const problems = [];
  for (const diagnostic of ts.getPreEmitDiagnostics(program)) {
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n    ");
    const source = sources.get(diagnostic.file?.fileName);
    if (!source) {
      problems.push({ name: "?", where: diagnostic.file?.fileName ?? "?", key: false, message });
      continue;
    }
    const line = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start).line
      - source.head.split("\n").length + 1;
    problems.push({
      name: source.name,
      where: `${source.name}:${line}`,
      key: UNKNOWN_KEY.has(diagnostic.code),
      message,
    });
  }
  return problems;
}

const BREAKS = [
  ['"schemaVersion": 39', '"schemaVersion": "39"'],
  ['"graphTooltip": 1', '"graphTooltip": 7'],
  ['"refresh": 2', '"refresh": 5'],
  ['"type": "stat"', '"type": "singlestat"'],
  ['"colorMode": "value"', '"colourMode": "value"'],
  ['"drawStyle": "line"', '"drawStyle": "lines"'],
  ['"rowHeight": 0.85', '"rowHeight": "tall"'],
  ['"type": "color-text"', '"type": "colour-text"'],
  ['"id": "custom.cellOptions"', '"id": "custom.cellOption"'],
  ['"mode": "absolute"', '"mode": "relative"'],
  ['"format": "table"', '"format": "tabular"'],
  ['"targetBlank": false', '"targetBlank": "no"'],
];

function unnoticed(text) {
  const texts = new Map(BREAKS.map(([old, broken]) => [old, text.replace(old, broken)]));
  const noticed = new Set(check(VERSIONS.at(-1), texts).map(({ name }) => name));
  return BREAKS.map(([old]) => old).filter((old) => texts.get(old) === text || !noticed.has(old));
}

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error("usage: node validate.mjs DASHBOARD.json...");
  process.exit(2);
}
const texts = new Map(files.map((file) => [path.basename(file), fs.readFileSync(file, "utf8")]));

const unknownIn = new Map();
let failed = false;
for (const version of VERSIONS) {
  for (const { where, key, message } of check(version, texts)) {
    if (key) {
      const entry = unknownIn.get(where) ?? { versions: new Set(), message };
      entry.versions.add(version);
      unknownIn.set(where, entry);
    } else {
      failed = true;
      console.error(`${where}: Grafana ${version}: ${message}`);
    }
  }
}
for (const [where, { versions, message }] of unknownIn) {
  if (versions.size === VERSIONS.length) {
    failed = true;
    console.error(`${where}: no version of Grafana knows this key: ${message}`);
  }
}
const overview = [...texts].find(([name]) => name === "conferencing-overview.json");
for (const old of overview ? unnoticed(overview[1]) : []) {
  failed = true;
  console.error(`a break of ${old} goes unnoticed`);
}
if (failed) process.exit(1);
console.log(`${files.length} dashboards fit the published types of Grafana ${VERSIONS.join(", ")}`);
