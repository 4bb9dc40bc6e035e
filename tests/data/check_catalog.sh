#!/bin/bash
# Every message id has a paragraph in the catalog, and the other way round; journalctl can read it.
# check_catalog.sh DIAG_IDS_H CATALOG
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
sed -n 's/^#define DIAG_ID_[A-Z_]* *"\([0-9a-f]\{32\}\)"$/\1/p' "$1" | sort > "$work/ids"
sed -n 's/^-- \([0-9a-f]\{32\}\)$/\1/p' "$2" | sort > "$work/paragraphs"
[ "$(wc -l < "$work/ids")" -eq "$(grep -c '^#define DIAG_ID_' "$1")" ] || { echo "not every id was found in $1"; exit 1; }
[ -z "$(uniq -d "$work/ids")" ] || { echo "an id is there twice"; exit 1; }
diff "$work/ids" "$work/paragraphs" || { echo "< has no paragraph in the catalog, > has no id"; exit 1; }
for field in $(grep -o '@OCFD_[A-Z]*@' "$2" | tr -d @ | sort -u); do
    grep -q "\"$field=" "${1%/*}/diag.c" || { echo "@$field@ is a field that no event has"; exit 1; }
done

command -v journalctl >/dev/null || { echo "journalctl is not installed: it was not asked"; exit 0; }
mkdir -p "$work/root/usr/lib/systemd/catalog" "$work/root/var/lib/systemd/catalog"
cp "$2" "$work/root/usr/lib/systemd/catalog/ocfd.catalog"
said=$(journalctl --root="$work/root" --update-catalog 2>&1)
listed=$(journalctl --root="$work/root" --list-catalog 2>&1 | wc -l)
if [ -n "$said" ] || [ "$listed" -ne "$(wc -l < "$work/ids")" ]; then
    echo "journalctl lists $listed paragraphs, and says: $said"
    exit 1
fi
