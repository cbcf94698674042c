// The dashboards, alerts and recording rules of this repository as a monitoring mixin: https://monitoring.mixins.dev
//
//     local conferencing = (import 'conferencing_exporter/mixin.libsonnet') + {
//       _config+:: { jobSelector: 'voip.*', values+: { dingtalkQuotaCalls: 20000 }, disabled: ['ConferencingRoomWithoutPin'] },
//     };
//
// The files are those that everybody else takes, too: prometheus/*.yaml and grafana/dashboards/*.json.
{
  local config = self._config,

  _config+:: {
    // The jobs in which exporters and targets of /probe are looked for, beside those that have answered already.
    jobSelector: 'conferencing.*',
    // Other numbers than those that the rules mark with "# value: NAME", by name.
    values: {},
    // Alerts to leave out, by name.
    disabled: [],
  },

  // "... > 0.1 # value: apiErrorsRatio", word by word.
  local withValue(line) =
    local words = std.split(line, ' ');
    local n = std.length(words);
    if n < 4 || words[n - 2] != 'value:' || !std.objectHas(config.values, words[n - 1]) then line
    else std.join(' ', words[:n - 4] + [std.toString(config.values[words[n - 1]])] + words[n - 3:]),

  local rules(text) =
    local lines = std.split(std.strReplace(text, 'job=~"conferencing.*"', 'job=~"%s"' % config.jobSelector), '\n');
    local groups = std.parseYaml(std.join('\n', std.map(withValue, lines))).groups;
    {
      groups+: [
        group { rules: [rule for rule in group.rules if !std.member(config.disabled, std.get(rule, 'alert', ''))] }
        for group in groups
      ],
    },

  prometheusAlerts+:: rules(importstr 'prometheus/alerts.yaml'),
  prometheusRules+:: rules(importstr 'prometheus/recording-rules.yaml'),
  grafanaDashboards+:: {
    'conferencing-overview.json': import 'grafana/dashboards/conferencing-overview.json',
    'conferencing-source.json': import 'grafana/dashboards/conferencing-source.json',
    'conferencing-exporter.json': import 'grafana/dashboards/conferencing-exporter.json',
  },
}
