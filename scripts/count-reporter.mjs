// A vitest reporter whose only word is the last line of the run: `N passed, N failed[, N skipped]`.
import { writeSync } from "node:fs";

export class CountReporter {
  onTestRunEnd(testModules, unhandledErrors) {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 };
    for (const module of testModules) {
      let own = 0;
      for (const test of module.children.allTests()) {
        count[test.result().state] += 1;
        own += 1;
      }
      // what broke before its tests could run left them skipped: that is a failure too
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length;
      // and so is a file that broke before it could name a test
      if (module.state() === "failed" && (own === 0 || module.errors().length > 0)) count.failed += 1;
    }
    const skipped = count.skipped + count.pending;
    const line = `${count.passed} passed, ${count.failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`;
    process.once("exit", () => writeSync(1, line));
  }
}

// vitest loads a reporter given by path through its default export
export { CountReporter as default };
