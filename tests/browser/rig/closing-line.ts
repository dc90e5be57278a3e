/** Prints how it went as the very last line, in a form that programs read. */

import type { FullConfig, FullResult, Reporter, Suite, TestCase } from "@playwright/test/reporter";

export default class ClosingLine implements Reporter {
  #tests: TestCase[] = [];
  #status: FullResult["status"] = "failed";

  onBegin(_config: FullConfig, suite: Suite): void {
    this.#tests = suite.allTests();
  }

  onEnd({ status }: FullResult): void {
    this.#status = status;
  }

  onExit(): Promise<void> {
    // Tests that were only listed.
    if (this.#status === "passed" && this.#tests.every(({ results }) => results.length === 0)) {
      return Promise.resolve();
    }
    const wanted = this.#tests.filter((test) => test.expectedStatus !== "skipped");
    // A test that was never reached has not passed.
    const passed = wanted.filter((test) => test.ok() && test.results.length > 0).length;
    process.stdout.write(`${passed} passed, ${wanted.length - passed} failed\n`);
    return Promise.resolve();
  }

  printsToStdio(): boolean {
    return false;
  }
}
