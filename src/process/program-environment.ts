/** Variables by which a program, its libraries and its Python modules are found. */
const places = ["PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH"] as const;

const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * What long-lived programs start with, whoever started the daemon: where a distribution has its programs. A package
 * that brings programs and libraries of its own, as a snap does, sets MICROCEPH_PROGRAMS=inherit: then they are looked
 * for where the daemon's own environment says.
 */
export function programEnvironment(
  own: Readonly<Record<string, string | undefined>> = process.env,
): Readonly<Record<string, string>> {
  if (own.MICROCEPH_PROGRAMS !== "inherit") return { PATH: systemPath, LANG: "C.UTF-8" };
  const inherited = places.flatMap((name) => {
    const value = own[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { PATH: systemPath, ...Object.fromEntries(inherited), LANG: "C.UTF-8" };
}

/** Variables with which a program's Python looks for modules in this folder first. No compiled copies are left there. */
export function pythonFinds(folder: string): Readonly<Record<string, string>> {
  const other = programEnvironment().PYTHONPATH;
  return { PYTHONPATH: other === undefined ? folder : `${folder}:${other}`, PYTHONDONTWRITEBYTECODE: "1" };
}
