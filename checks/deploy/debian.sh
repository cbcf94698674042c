# SPDX-License-Identifier: Apache-2.0
# A minimal Debian of the release that packages and images are for, with a C compiler, kept for the next run. Sourced
# after checks/lib.sh; run as root.

# debian_base CACHE-FOLDER: makes CACHE-FOLDER/debian.tar unless it is there.
debian_base() {
    [ ! -s "$1/debian.tar" ] || return 0
    mkdir -p "$1"
    debootstrap --variant=minbase --include=adduser,ca-certificates,gcc,init-system-helpers,libc6-dev,procps bookworm "$work/base" >"$work/debootstrap" \
        || { tail -n 5 "$work/debootstrap"; fail "debootstrap"; }
    tar --create --one-file-system --exclude='./var/cache/apt/archives/*.deb' --file "$1/debian.tar.part" --directory "$work/base" .
    rm -rf "$work/base"
    mv "$1/debian.tar.part" "$1/debian.tar"
}
