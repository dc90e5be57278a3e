/** Takes a picture of the page, and looks whether everybody can use it as it is now. */

import { join } from "node:path";

import { AxeBuilder } from "@axe-core/playwright";
import { expect, type Page } from "@playwright/test";

import { RESULTS } from "./script.ts";

const STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export const SCREENS = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: {
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
  },
};

export interface Picture {
  /** With what lies below the edge of the screen. */
  whole?: boolean;
}

/** The picture is `test-results/screenshots/NAME.png`. */
export async function inspect(page: Page, name: string, { whole }: Picture = {}): Promise<void> {
  // Colours on their way from one state to the next are neither's.
  await page.screenshot({
    path: join(RESULTS, "screenshots", `${name}.png`),
    animations: "disabled",
    fullPage: whole ?? false,
  });

  const { violations } = await new AxeBuilder({ page }).withTags(STANDARDS).analyze();
  const found = violations.map(({ id, help, nodes }) => {
    const where = nodes.map(
      ({ target, failureSummary }) => `${String(target)}: ${failureSummary ?? ""}`,
    );
    return `${id} (${help}): ${where.join("; ")}`;
  });
  expect.soft(found, `everybody can use ${name}`).toEqual([]);
  const widerBy = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  expect.soft(widerBy, `${name} fits the width of the screen`).toBe(0);
}
