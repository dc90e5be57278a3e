/** The page's own line icons, drawn on a grid of 24. */

const PATHS = {
  microphone: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3ZM5 11a7 7 0 0 0 14 0M12 18v3",
  "microphone-off":
    "M15 9.5V6a3 3 0 0 0-5.8-1.1M9 9v2a3 3 0 0 0 4.6 2.5M5 11a7 7 0 0 0 11 5.7M19 11a7 7 0 0 1-.6 2.8M12 18v3M4 4l16 16",
  captions:
    "M5 5h14a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2ZM10.5 10.6a2 2 0 1 0 0 2.8M17 10.6a2 2 0 1 0 0 2.8",
  "captions-off":
    "M8.5 5H19a2 2 0 0 1 2 2v10c0 .4-.1.8-.3 1.1M17.5 19H5a2 2 0 0 1-2-2V7a2 2 0 0 1 1.2-1.8M10.5 10.6a2 2 0 1 0 0 2.8M17 10.6a2 2 0 0 0-2.6-.4M4 4l16 16",
  "hang-up":
    "M3.2 14.6c-.6-.7-.5-1.9.2-2.7C5.7 9.6 8.7 8.4 12 8.4s6.3 1.2 8.6 3.5c.7.8.8 2 .2 2.7l-1.1 1.3c-.5.6-1.3.7-1.9.3l-1.9-1.2c-.5-.3-.8-.9-.7-1.5l.1-1.2a9.5 9.5 0 0 0-6.6 0l.1 1.2c.1.6-.2 1.2-.7 1.5l-1.9 1.2c-.6.4-1.4.3-1.9-.3Z",
  devices: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  help: "M9.2 9.3a2.9 2.9 0 1 1 4.2 2.6c-.9.5-1.4 1.1-1.4 2.1M12 17.3v.2M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18Z",
  workers:
    "M5.5 4h13A1.5 1.5 0 0 1 20 5.5v4A1.5 1.5 0 0 1 18.5 11h-13A1.5 1.5 0 0 1 4 9.5v-4A1.5 1.5 0 0 1 5.5 4ZM5.5 13h13a1.5 1.5 0 0 1 1.5 1.5v4a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 18.5v-4A1.5 1.5 0 0 1 5.5 13ZM7.5 7.4v.2M7.5 16.4v.2M11 7.5h6M11 16.5h6",
  details: "M5 4h14a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2ZM14.5 4v16",
  send: "M12 19V6M6 11.5 12 5.5l6 6",
  pause: "M9 6v12M15 6v12",
  resume: "M8 5.5 18.5 12 8 18.5Z",
  stop: "M7 7h10v10H7Z",
  close: "M6 6l12 12M18 6 6 18",
  download: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  speaker: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5ZM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
  alert: "M12 8.5v4.5M12 16.3v.2M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18Z",
  check: "M5 12.5l4.5 4.5L19 7.5",
} as const;

export type IconName = keyof typeof PATHS;

const FILLED: ReadonlySet<IconName> = new Set<IconName>(["hang-up", "resume", "stop"]);

export function Icon({ name }: { name: IconName }) {
  return (
    <svg
      className={FILLED.has(name) ? "icon icon-filled" : "icon"}
      viewBox="0 0 24 24"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
