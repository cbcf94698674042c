// SPDX-License-Identifier: Apache-2.0
// Draws one dashboard from the answers Prometheus gave to its queries. See README.md.

import { createRoot } from "react-dom/client";
import {
  FieldConfigOptionsRegistry, FieldType, applyFieldOverrides, cacheFieldDisplayNames, createTheme, dateTime,
  getDisplayValueAlignmentFactors, getFieldDisplayValues, standardTransformers, standardTransformersRegistry, toDataFrame, transformDataFrame, VizOrientation,
} from "@grafana/data";
import {
  BarGauge, BigValue, GlobalStyles, PanelChrome, PanelContextProvider, Table, ThemeContext, TimeSeries, VizRepeater,
} from "@grafana/ui";

const COLUMN = 1264 / 24, ROW = 30, GAP = 8, HEADER = 32, PADDING = 8;
const { dashboard, data, start, end } = window.INPUT;
const theme = createTheme({ colors: { mode: window.INPUT.theme } });
document.body.style.background = theme.colors.background.canvas;
const rowsOf = dashboard.panels.filter(({ type }) => type === "row");
const panels = dashboard.panels.filter(({ type }) => type !== "row");
const range = { from: dateTime(start * 1000), to: dateTime(end * 1000), raw: { from: "", to: "" } };

const { mergeTransformer, organizeFieldsTransformer, groupingToMatrixTransformer } = standardTransformers;
standardTransformersRegistry.setInit(() => [mergeTransformer, organizeFieldsTransformer, groupingToMatrixTransformer]
  .map((transformation) => ({ id: transformation.id, name: transformation.name, transformation })));

// Overrides find their property here. Grafana fills this with its editors, of which only the paths matter.
const properties = new FieldConfigOptionsRegistry();
const paths = new Set(panels.flatMap(({ fieldConfig: { defaults, overrides } }) => [
  ...Object.keys(defaults).filter((key) => key !== "custom"),
  ...Object.keys(defaults.custom ?? {}).map((key) => `custom.${key}`),
  ...overrides.flatMap((override) => override.properties.map(({ id }) => id)),
]));
for (const path of paths) {
  properties.register({
    id: path, path: path.replace("custom.", ""), name: path, isCustom: path.startsWith("custom."),
    process: (value) => value, shouldApply: () => true, override: () => null, editor: () => null,
  });
}

function framesOf(panel) {
  const frames = [];
  for (const target of panel.targets) {
    const result = data[panel.id][target.refId];
    if (target.format === "table") {
      const labels = [...new Set(result.flatMap((series) => Object.keys(series.metric)))].sort();
      frames.push(toDataFrame({ refId: target.refId, fields: [
        { name: "Time", type: FieldType.time, values: result.map((s) => s.value[0] * 1000) },
        ...labels.map((label) => ({ name: label, type: FieldType.string, values: result.map((s) => s.metric[label]) })),
        { name: panel.targets.length > 1 ? `Value #${target.refId}` : "Value", type: FieldType.number,
          values: result.map((s) => Number(s.value[1])) },
      ] }));
      continue;
    }
    for (const series of result) {
      const points = series.values ?? [series.value];
      const legend = target.legendFormat.replace(/\{\{ *(\w+) *\}\}/g, (_, label) => series.metric[label] ?? "");
      frames.push(toDataFrame({ refId: target.refId, fields: [
        { name: "Time", type: FieldType.time, values: points.map((p) => p[0] * 1000), config: { interval: 2000 } },
        { name: "Value", type: FieldType.number, labels: series.metric, values: points.map((p) => Number(p[1])),
          config: { displayNameFromDS: legend } },
      ] }));
    }
  }
  return frames;
}

function prepared(panel, frames) {
  const result = applyFieldOverrides({
    data: frames, fieldConfig: panel.fieldConfig, fieldConfigRegistry: properties, theme, timeZone: "utc",
    replaceVariables: (text) => text,
  });
  cacheFieldDisplayNames(result);
  return result;
}

function transformed(panel, frames) {
  return new Promise((resolve) => {
    transformDataFrame(panel.transformations ?? [], frames, { interpolate: (text) => text }).subscribe(resolve);
  });
}

function values(panel, frames) {
  return getFieldDisplayValues({
    fieldConfig: panel.fieldConfig, reduceOptions: panel.options.reduceOptions, replaceVariables: (text) => text,
    theme, data: frames, sparkline: panel.options.graphMode === "area", timeZone: "utc",
  });
}

function Empty({ panel, width, height }) {
  return <div style={{ width, height, display: "grid", placeItems: "center", color: theme.colors.text.secondary }}>
    {panel.fieldConfig.defaults.noValue}
  </div>;
}

function Stat({ panel, frames, width, height }) {
  return <VizRepeater source={frames} width={width} height={height} orientation={
    panel.options.orientation === "auto" ? VizOrientation.Auto : panel.options.orientation}
    getValues={() => values(panel, frames)} itemSpacing={3} autoGrid={true} renderCounter={0}
    renderValue={({ value, width, height, count }) => <BigValue
      value={value.display}
      sparkline={value.sparkline} count={count} width={width} height={height} theme={theme}
      colorMode={panel.options.colorMode} graphMode={panel.options.graphMode}
      justifyMode={panel.options.justifyMode} textMode={panel.options.textMode} />} />;
}

function Bars({ panel, frames, width, height }) {
  return <VizRepeater source={frames} width={width} height={height} orientation="horizontal"
    getValues={() => values(panel, frames)} itemSpacing={8} renderCounter={0}
    getAlignmentFactors={getDisplayValueAlignmentFactors} minVizHeight={panel.options.minVizHeight}
    maxVizHeight={panel.options.maxVizHeight}
    renderValue={({ value, width, height, alignmentFactors }) => <BarGauge value={value.display} field={value.field}
      display={value.view?.getFieldDisplayProcessor(value.colIndex)} alignmentFactors={alignmentFactors}
      width={width} height={height} orientation="horizontal" theme={theme} itemSpacing={10} lcdCellWidth={8} displayMode={panel.options.displayMode} showUnfilled={true}
      valueDisplayMode={panel.options.valueMode} namePlacement={panel.options.namePlacement} />} />;
}

function Series({ panel, frames, width, height }) {
  return <TimeSeries frames={frames} width={width} height={height} timeRange={range} timeZone="utc"
    legend={panel.options.legend} options={panel.options}>{() => null}</TimeSeries>;
}

function Cells({ frames, width, height, panel }) {
  const sort = panel.options.sortBy?.map(({ displayName, desc }) => ({ displayName, desc }));
  return <Table data={frames[0]} width={width} height={height} showHeader={true} initialSortBy={sort}
    cellHeight={panel.options.cellHeight} />;
}

// The two panels of which Grafana publishes no component.

function Timeline({ panel, frames, width, height }) {
  const name = 110, bar = (height - 40) / frames.length, span = end - start;
  const texts = Object.values(panel.fieldConfig.defaults.mappings[0].options);
  return <svg width={width} height={height} fontSize="12" fontFamily="Inter, sans-serif">
    {texts.map(({ text, color }, i) => <g key={text} transform={`translate(${name / 2 + i * Math.min(110, (width - name / 2) / texts.length)}, ${height - 12})`}>
      <rect width="12" height="4" y="3" fill={color} /><text x="18" y="9" fill={theme.colors.text.primary}>{text}</text></g>)}
    {frames.map((frame, row) => {
      const [time, field] = frame.fields;
      return <g key={row}>
        <text x={name - 8} y={row * bar + bar / 2 + 4} textAnchor="end" fill={theme.colors.text.primary}>
          {field.config.displayNameFromDS}</text>
        {field.values.map((value, i) => {
          const x = name + ((time.values[i] / 1000 - start) / span) * (width - name);
          const next = (time.values[i + 1] ?? time.values[i] + 2000) / 1000;
          return <rect key={i} x={x} y={row * bar + bar * 0.08} height={bar * 0.84} fillOpacity={0.75}
            width={Math.max(0, Math.min(width, name + ((next - start) / span) * (width - name)) - x + 0.3)}
            fill={field.display(value).color} />;
        })}
      </g>;
    })}
    <Clock x={name} width={width - name} y={height - 24} />
  </svg>;
}

function Clock({ x, y, width }) {
  const last = width > 400 ? 4 : 2;
  return Array.from({ length: last + 1 }, (_, i) => <text key={i} x={x + (i / last) * width} y={y}
    fill={theme.colors.text.secondary} textAnchor={i === 0 ? "start" : i === last ? "end" : "middle"}>
    {new Date((start + (i / last) * (end - start)) * 1000).toISOString().slice(11, 19)}</text>);
}

function Heatmap({ frames, width, height }) {
  const bound = (frame) => Number(frame.fields[1].labels.le.replace("+Inf", "Infinity"));
  const rows = [...frames].sort((a, b) => bound(a) - bound(b));
  const counts = rows.map((frame, r) => frame.fields[1].values.map((v, i) => v - (rows[r - 1]?.fields[1].values[i] ?? 0)));
  const most = Math.max(1e-9, ...counts.flat());
  const name = 60, cell = (height - 20) / rows.length, span = end - start;
  return <svg width={width} height={height} fontSize="11" fontFamily="Inter, sans-serif">
    {rows.map((frame, r) => <g key={r}>
      <text x={name - 6} y={height - 20 - r * cell - cell / 2 + 4} textAnchor="end" fill={theme.colors.text.secondary}>
        {bound(frame) === Infinity ? "∞" : `${bound(frame)} s`}</text>
      {counts[r].map((count, i) => count > 1e-9 && <rect key={i} height={cell - 1} y={height - 20 - (r + 1) * cell}
        x={name + ((frame.fields[0].values[i] / 1000 - start) / span) * (width - name)}
        width={(2 / span) * (width - name) + 0.3} fill="#3274D9" fillOpacity={0.15 + 0.85 * Math.sqrt(count / most)} />)}
    </g>)}
    <Clock x={name} width={width - name} y={height - 4} />
  </svg>;
}

const KINDS = {
  stat: Stat, bargauge: Bars, timeseries: Series, table: Cells, "state-timeline": Timeline, heatmap: Heatmap,
};

function Panel({ panel, frames }) {
  const { x, y, w, h } = panel.gridPos;
  const place = { left: GAP + x * COLUMN, top: GAP + y * (ROW + GAP), width: w * COLUMN - GAP, height: h * (ROW + GAP) - GAP };
  const Kind = KINDS[panel.type];
  const nothing = frames.length === 0 || frames.every((frame) => frame.length === 0);
  return <div style={{ position: "absolute", ...place }}>
    <PanelChrome title={panel.title} description={panel.description} width={place.width} height={place.height}>
      {(width, height) => nothing && panel.type !== "stat"
        ? <Empty panel={panel} width={width} height={height} />
        : <Kind panel={panel} frames={frames} width={width} height={height} />}
    </PanelChrome>
  </div>;
}

async function main() {
  const drawn = await Promise.all(panels.map(async (panel) => ({
    panel, frames: prepared(panel, await transformed(panel, framesOf(panel))),
  })));
  const height = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h)) * (ROW + GAP) + GAP;
  createRoot(document.getElementById("root")).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={{ eventsScope: "x", eventBus: { publish() {}, subscribe: () => ({ unsubscribe() {} }), getStream: () => ({ subscribe: () => ({ unsubscribe() {} }), pipe() { return this; } }) }, canAddAnnotations: () => false }}>
        <div style={{ position: "relative", width: 1280, height }}>
          {rowsOf.map((row) => <div key={row.id} style={{ position: "absolute", left: GAP + 4, top: GAP + row.gridPos.y * (ROW + GAP) + 4,
            fontSize: 16, fontWeight: 500, color: theme.colors.text.primary }}>&#9662; {row.title}</div>)}
          {drawn.map(({ panel, frames }) => <Panel key={panel.id} panel={panel} frames={frames} />)}
        </div>
      </PanelContextProvider>
    </ThemeContext.Provider>);
}

main();
