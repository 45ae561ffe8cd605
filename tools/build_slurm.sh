#!/bin/bash
# Unpacks a newer Slurm than this machine's into a folder: Debian 13 with its packages of Slurm 24.11, not installed, and
# beside it programs that run there as if they were installed. See docs/slurm.md.
#
#   [DEBIAN_MIRROR=http://...] tools/build_slurm.sh FOLDER
#   FERMATA_TEST_SLURM=FOLDER/bin .venv/bin/pytest tests/adapters/test_slurm_real.py
#
# Takes a minute and 285 MB. What is there already is kept. Needs root, debootstrap and a kernel that lets root mount.
set -euo pipefail

folder=${1:?usage: tools/build_slurm.sh FOLDER}
programs=(munged slurmctld slurmd slurmrestd scontrol squeue sinfo sbatch scancel)
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
exec 9>"$folder/lock"
flock 9  # one at a time; whoever waited finds what the other made
if [ ! -e "$folder/bin/complete" ]; then
  [ "$(id -u)" -eq 0 ] || { echo "debootstrap and chroot need root" >&2; exit 1; }
  command -v debootstrap >/dev/null || { echo "debootstrap not found: apt-get install debootstrap" >&2; exit 1; }
  mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' 'Label: Debian' | sort -u | head -1)}
  : "${mirror:?DEBIAN_MIRROR has to name a mirror of Debian that has the suite trixie}"
  rm -rf "$folder/debian" "$folder/bin"
  packages=slurmctld,slurmd,slurmrestd,slurm-client,slurm-wlm-jwt-plugin,munge
  debootstrap --variant=minbase "--include=$packages" trixie "$folder/debian" "$mirror" >"$folder/debootstrap.log" ||
    { tail -5 "$folder/debootstrap.log" >&2; exit 1; }
  rm -rf "$folder/debian/var/cache/apt/archives"
  # slurmctld asks for the name behind each caller, and answers nobody while a name server is silent: none is asked.
  echo "127.0.0.1 localhost $(hostname)" >"$folder/debian/etc/hosts"
  : >"$folder/debian/etc/resolv.conf"
  mkdir "$folder/bin"
  for program in "${programs[@]}"; do
    # In mounts of its own, which end with it: files of this machine's /tmp and /dev have the same names inside.
    cat >"$folder/bin/$program" <<END
#!/bin/sh
exec unshare --mount --propagation private sh -c '
  for each in proc sys dev tmp; do mount --rbind /\$each "$folder/debian/\$each" || exit 1; done
  export PATH=/usr/sbin:/usr/bin:/sbin:/bin
  exec chroot --userspec="\${RUN_AS:-0:0}" --groups= "$folder/debian" "\$0" "\$@"' $program "\$@"
END
    chmod +x "$folder/bin/$program"
  done
  touch "$folder/bin/complete"
fi
"$folder/bin/slurmctld" -V
echo "FERMATA_TEST_SLURM=$folder/bin"
