#!/bin/sh
# npm test [-- --project lint|types|unit|sim|lab|long|vm …] [-- vitest arguments]: see scripts/test.ts
set -u
here=$(dirname "$0")
# Without root the packages cannot be installed; lab tests that miss them are skipped and say so.
with=
case " $* " in
  *"--project vm "* | *"--project=vm "*) with=--with-vm ;;
  *"--project lab "* | *"--project=lab "* | *"--project long "* | *"--project=long "*) with=--with-clients ;;
  *" --project"*) ;;
  *) with=--with-clients ;;
esac
if [ "$(id -u)" != 0 ]; then with=--without-packages; fi
# shellcheck disable=SC2086
if ! sh "$here/setup.sh" --quiet $with; then
  echo "The setup failed; no test was run."
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
fi
exec sh "$here/run.sh" "$here/test.ts" "$@"
