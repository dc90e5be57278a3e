/** Keeps the newest line of a scrolling list in sight. */

import { type RefObject, useEffect, useRef } from "react";

/** Nearer to the end than this, the list follows the conversation; further up, a person is reading. */
const FOLLOW_WITHIN_PX = 60;

/** Scrolls to the end whenever the list grows or changes its height. */
export function useFollowEnd(list: RefObject<HTMLElement | null>): void {
  const following = useRef(true);

  useEffect(() => {
    const element = list.current;
    if (element === null) return;
    const onScroll = (): void => {
      const { scrollHeight, scrollTop, clientHeight } = element;
      following.current = scrollHeight - scrollTop - clientHeight < FOLLOW_WITHIN_PX;
    };
    const resized = new ResizeObserver(() => {
      if (following.current) element.scrollTo({ top: element.scrollHeight });
    });
    resized.observe(element);
    element.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      resized.disconnect();
      element.removeEventListener("scroll", onScroll);
    };
  }, [list]);

  useEffect(() => {
    if (following.current) list.current?.scrollTo({ top: list.current.scrollHeight });
  });
}
