// npm run test:crash -- [--operation O] [--victim V] [--from K] [--to K] [--every N]
// On real etcd and Ceph: end a daemon with SIGKILL at each step of each operation, one trial after the other, and
// see that the operation is completed. Takes hours for all of them; a failed trial is printed with how to repeat it.
import { parseArgs } from "node:util";
import { crashOperations } from "../lab/support/crash-operations.ts";
import { crashTrial } from "../lab/support/crash-trial.ts";
import { labObstacle } from "../lab/support/lab-obstacle.ts";

const { values } = parseArgs({
  options: {
    operation: { type: "string" },
    victim: { type: "string" },
    from: { type: "string", default: "1" },
    to: { type: "string", default: "9999" },
    every: { type: "string", default: "1" },
  },
});

async function main(): Promise<void> {
  const obstacle = labObstacle();
  if (obstacle !== undefined) throw new Error(`real parts cannot run here: ${obstacle}`);
  const [from, to, every] = [Number(values.from), Number(values.to), Number(values.every)];
  const failures: string[] = [];
  let passed = 0;
  for (const [operation, { victims }] of Object.entries(crashOperations)) {
    if (values.operation !== undefined && values.operation !== operation) continue;
    for (const victim of Object.keys(victims)) {
      if (values.victim !== undefined && values.victim !== victim) continue;
      for (let step = from; step <= to; step += every) {
        const begin = performance.now();
        const repeat = `--operation ${operation} --victim ${victim} --from ${step} --to ${step}`;
        try {
          const crashed = await crashTrial("crash", { operation, victim, step });
          const seconds = ((performance.now() - begin) / 1000).toFixed(0);
          if (crashed === undefined) {
            console.log(`${operation} ${victim}: over before step ${step} (${seconds} s)`);
            break;
          }
          passed += 1;
          console.log(`ok      ${operation} ${victim} ${step}: ${crashed.name} (${seconds} s)`);
        } catch (error) {
          failures.push(repeat);
          console.log(`FAILED  ${operation} ${victim} ${step}: ${String(error)}`);
          console.log(`        again: npm run test:crash -- ${repeat}`);
        }
      }
    }
  }
  console.log(`${passed} passed, ${failures.length} failed`);
  for (const repeat of failures) console.log(`  npm run test:crash -- ${repeat}`);
  if (failures.length > 0) process.exitCode = 1;
}

await main();
