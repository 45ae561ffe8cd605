#!/bin/bash
# Builds kube-apiserver, kube-controller-manager and kube-scheduler from Debian 12's source package of Kubernetes, and
# unpacks etcd beside them. Nothing is installed: compiler, libraries and results stay in the folder that is named.
#
#   [DEBIAN_MIRROR=http://...] tools/build_kubernetes.sh FOLDER [-j N]
#   FERMATA_TEST_KUBERNETES=FOLDER/bin .venv/bin/pytest tests/adapters/test_kubernetes_real.py
#
# The mirror: one that has the suite bookworm with its sources; left out, the one that this machine asks for packages.
# Takes some ten minutes on two cores and 2 GB, of which the programs in FOLDER/bin are left. What is built already is
# kept. Needs apt-get, dpkg-dev and rsync.
set -euo pipefail

folder=${1:?usage: tools/build_kubernetes.sh FOLDER [-j N]}
jobs=2
[ "${2:-}" = -j ] && jobs=${3:?-j needs a number}
programs=(kube-apiserver kube-controller-manager kube-scheduler)
mkdir -p "$folder/bin"
folder=$(cd "$folder" && pwd)
exec 9>"$folder/lock"
flock 9  # one build at a time; whoever waited finds what the other built
lacks() { for program in "$@"; do [ -x "$folder/bin/$program" ] || echo "$program"; done; }
if [ -z "$(lacks etcd "${programs[@]}")" ]; then
  echo "FERMATA_TEST_KUBERNETES=$folder/bin"
  exit 0
fi
for tool in rsync dpkg-source; do
  command -v $tool >/dev/null || { echo "$tool not found: apt-get install rsync dpkg-dev" >&2; exit 1; }
done
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' 'Label: Debian' | sort -u | head -1)}
: "${mirror:?DEBIAN_MIRROR has to name a mirror of Debian that has the suite bookworm with its sources}"
mkdir -p "$folder"/{packages,unpacked,apt/lists/partial,apt/cache/archives/partial}

# Lists of our own, of sources and packages of the suite bookworm, whatever this machine asks for otherwise.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cat >"$folder/apt/bookworm.sources" <<LISTS
Types: deb deb-src
URIs: $mirror
Suites: bookworm
Components: main
Signed-By: $keyring
LISTS
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$folder/apt/bookworm.sources" -o Dir::Etc::sourceparts=/dev/null
  -o "Dir::State::lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache" -o APT::Sandbox::User=root)

cd "$folder/packages"
if ! ls kubernetes_*.orig.tar.gz golang-1.19-go_*.deb etcd-server_*.deb >/dev/null 2>&1; then
  "${apt[@]}" update
  "${apt[@]}" source --download-only kubernetes
  "${apt[@]}" download golang-1.19-go golang-1.19-src etcd-server golang-github-modern-go-reflect2-dev
fi
for package in *.deb; do dpkg-deb -x "$package" "$folder/unpacked"; done
cp "$folder/unpacked/usr/bin/etcd" "$folder/bin/etcd"

source=$folder/source
if [ ! -d "$source" ]; then
  dpkg-source --no-check -x kubernetes_*.dsc "$source.part" >/dev/null
  mv "$source.part" "$source"
fi
# The vendored reflect2 reads maps in a way that Go 1.18 and later do not have: the API server would end with a
# segmentation fault at the first one that it writes.
reflect2=vendor/github.com/modern-go/reflect2
rsync -a --delete "$folder/unpacked/usr/share/gocode/src/github.com/modern-go/reflect2/" "$source/$reflect2/"

# What `make` of Kubernetes asks git for.
cat >"$folder/version" <<VERSION
KUBE_GIT_COMMIT=unknown
KUBE_GIT_TREE_STATE=archive
KUBE_GIT_VERSION=v1.20.2
KUBE_GIT_MAJOR=1
KUBE_GIT_MINOR=20
VERSION
export GOROOT=$folder/unpacked/usr/lib/go-1.19 GOCACHE=$folder/cache GOFLAGS="-p=$jobs" KUBE_GIT_VERSION_FILE=$folder/version
export PATH=$GOROOT/bin:$PATH GO111MODULE=off HOME=$folder
# Debian's compiler finds its source and tools through links that lead out of `unpacked`.
for part in src pkg/include test api misc; do
  from=$folder/unpacked/usr/share/go-1.19/${part##*/}
  [ -e "$from" ] && { mkdir -p "$(dirname "$GOROOT/$part")"; ln -sfn "$from" "$GOROOT/$part"; }
done
cd "$source"
mapfile -t missing < <(lacks "${programs[@]}")
make WHAT="${missing[*]/#/cmd/}"
for program in "${missing[@]}"; do cp "_output/bin/$program" "$folder/bin/"; done
"$folder/bin/kube-apiserver" --version
cd "$folder"
rm -rf apt cache kubernetes_*.orig.tar.gz packages source unpacked version
echo "FERMATA_TEST_KUBERNETES=$folder/bin"
