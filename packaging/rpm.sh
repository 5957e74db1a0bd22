#!/bin/sh
# Makes an RPM of ROOT, by rpmbuild: packagers for cargo keep no links.
#
# usage: packaging/rpm.sh ROOT VERSION ARCHITECTURE OUT
set -eu
root="$(realpath "${1:?usage: $0 ROOT VERSION ARCHITECTURE OUT}")"
version="$2" architecture="$3"
out="$(realpath "$4")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cat >"$work/spec" <<END
Name: fluent-bit-ai
Version: $version
Release: 1
Summary: Native Fluent Bit plugins for AI/ML telemetry
License: Apache-2.0
Requires: glibc >= 2.17
AutoReqProv: no
%description
Plugins for Fluent Bit 3.0 to 5.1. They lie in /opt/fluent-bit-ai; plugins.conf there names them.
%install
cp -a "$root/." "%{buildroot}"
%files
/opt/fluent-bit-ai
END
# Nothing is stripped or compressed on the way, and the time and the builder are none of this machine's.
rpmbuild -bb --quiet --target "$architecture-linux" \
  --define "_topdir $work" --define "_rpmdir $out" \
  --define "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm" \
  --define "__os_install_post %{nil}" --define "debug_package %{nil}" --define "_build_id_links none" \
  --define "_buildhost localhost" --define "use_source_date_epoch_as_buildtime 1" \
  --define "clamp_mtime_to_source_date_epoch 1" --define "_binary_payload w9.gzdio" "$work/spec"
