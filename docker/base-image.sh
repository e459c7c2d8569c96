#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# base-image.sh - makes the image debian:bookworm-slim with debootstrap, for machines that reach a Debian mirror but no image registry.
#
# It does nothing if the image is there. The mirror and the proxy are those of this machine's own apt and are baked into the image,
# so that apt works inside builds as it works here. It never pulls from a registry and never touches any other image.
set -eu

image=debian:bookworm-slim
suite=bookworm

if docker image inspect "$image" >/dev/null 2>&1; then
    exit 0
fi
if ! command -v debootstrap >/dev/null 2>&1; then
    echo "base-image.sh: $image is missing and debootstrap is not installed: docker pull $image, or apt-get install debootstrap" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "base-image.sh: $image is missing and debootstrap needs root: docker pull $image, or sudo docker/base-image.sh" >&2
    exit 1
fi

# The mirror this machine takes its own packages from, if it has one that carries the suite.
mirror=$(apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" "Codename: $suite" "Component: main" 2>/dev/null |
    sed -n '1s,/*$,,p')
mirror=${mirror:-http://deb.debian.org/debian}
proxy=
eval "$(apt-config shell proxy Acquire::http::Proxy)"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' INT TERM

echo "base-image.sh: making $image from $mirror"
if [ -n "$proxy" ] && [ "$proxy" != DIRECT ]; then
    http_proxy=$proxy
    export http_proxy
fi
if ! debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1; then
    tail -n 20 "$root.log" >&2
    rm -f "$root.log"
    exit 1
fi
rm -f "$root.log"

case $mirror in
*deb.debian.org/debian) security="deb http://deb.debian.org/debian-security $suite-security main" ;;
*) security= ;;
esac
printf 'deb %s %s main\ndeb %s %s-updates main\n%s\n' "$mirror" "$suite" "$mirror" "$suite" "$security" >"$root/etc/apt/sources.list"
if [ -n "$proxy" ]; then
    printf 'Acquire::http::Proxy "%s";\n' "$proxy" >"$root/etc/apt/apt.conf.d/01proxy"
fi
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/* \
    "$root"/usr/share/locale/*
# A service that an apt package brings is not to be started inside a build.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"

tar -C "$root" --one-file-system -cf - . | docker import --change 'CMD ["bash"]' - "$image" >/dev/null
echo "base-image.sh: $image is made"
