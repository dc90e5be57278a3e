/** The page: the start, or the call, and what may lie over them. */

import { useCallback, useEffect, useState, useSyncExternalStore } from "react";

import { storeKey } from "../call/address.ts";
import type { Call, Joining } from "../call/call.ts";
import { chooseTransport } from "../call/info.ts";
import type { Remedy } from "../call/problems.ts";
import { loadPreferences, type Preferences, savePreferences } from "../device/preferences.ts";
import { useWakeLock } from "../device/wake.ts";
import { WorkersPage } from "../operators/WorkersPage.tsx";
import { CallView } from "./CallView.tsx";
import type { DeviceChoice } from "./DeviceFields.tsx";
import { DevicesDialog } from "./DevicesDialog.tsx";
import { Header } from "./Header.tsx";
import { HelpDialog } from "./HelpDialog.tsx";
import type { LevelFeed } from "./levels.ts";
import { type Shortcut, useShortcuts } from "./shortcuts.ts";
import { StartView } from "./StartView.tsx";
import { useCallLife } from "./life.ts";
import { usePlace } from "./place.ts";
import { useServerInfo } from "./server.ts";

type Window = "help" | "devices" | null;

/** There is room for the details beside the call from here on. */
const WIDE = "(min-width: 62rem)";

export function App({ call, levels }: { call: Call; levels: LevelFeed }) {
  const view = useSyncExternalStore(call.subscribe, call.view);
  const server = useServerInfo();
  const [place, go] = usePlace();
  const [preferences, setPreferences] = useState(loadPreferences);
  const [joining, setJoining] = useState<Joining>("speaking");
  const [open, setOpen] = useState<Window>(null);
  const [detailsOpen, setDetailsOpen] = useState(() => matchMedia(WIDE).matches);
  useCallLife(call, view, place);
  useWakeLock(view.stage === "open");
  useEffect(() => {
    savePreferences(preferences);
  }, [preferences]);

  const change = useCallback((changed: Partial<Preferences>) => {
    setPreferences((now) => ({ ...now, ...changed }));
  }, []);

  const dial = (how: Joining, chosen: Preferences = preferences): void => {
    setJoining(how);
    const transport = chooseTransport(chosen.transport, server.info);
    const mode = chosen.mode ?? server.info?.mode ?? "duplex";
    const voice = server.info?.voices.some(({ id }) => id === chosen.voice) ? chosen.voice : null;
    void call.dial({ ...chosen, transport, mode, voice }, how);
  };

  const remedy = (chosen: Exclude<Remedy, "enter-key">): void => {
    switch (chosen) {
      case "retry":
        if (view.problem === null) server.refresh();
        else dial(joining);
        break;
      case "type-instead":
        dial("typing");
        break;
      case "use-websocket": {
        const changed: Preferences = { ...preferences, transport: "websocket" };
        setPreferences(changed);
        dial(joining, changed);
        break;
      }
    }
  };

  const enterKey = (key: string): void => {
    storeKey(key);
    server.refresh();
    call.goBack();
  };

  const chooseDevice = (choice: Partial<DeviceChoice>): void => {
    change(choice);
    if (choice.inputDeviceId !== undefined) void call.setInputDevice(choice.inputDeviceId);
    if (choice.outputDeviceId !== undefined) void call.setOutputDevice(choice.outputDeviceId);
  };

  const toggleCaptions = useCallback(() => {
    setPreferences((now) => ({ ...now, captions: !now.captions }));
  }, []);

  const onShortcut = useCallback(
    (shortcut: Shortcut) => {
      const talking = ["asking", "connecting", "open"].includes(call.view().stage);
      if (shortcut === "help") setOpen("help");
      else if (!talking) return;
      else if (shortcut === "captions") toggleCaptions();
      else if (shortcut === "hang-up") call.hangUp();
      else if (call.view().hasMicrophone) call.setMuted(!call.view().muted);
    },
    [call, toggleCaptions],
  );
  useShortcuts(place === "talk", onShortcut);

  const close = (): void => {
    setOpen(null);
  };

  return (
    <div className="page">
      <Header
        view={view}
        place={place}
        detailsOpen={detailsOpen}
        onPlace={go}
        onHelp={() => {
          setOpen("help");
        }}
        onDetails={() => {
          setDetailsOpen((now) => !now);
        }}
      />
      {place === "workers" ? (
        <WorkersPage onKey={server.refresh} />
      ) : view.stage === "start" ? (
        <StartView
          info={server.info}
          problem={view.problem ?? server.problem}
          preferences={preferences}
          levels={levels}
          onPreferences={change}
          onDial={dial}
          onRemedy={remedy}
          onKey={enterKey}
        />
      ) : (
        <CallView
          call={call}
          view={view}
          levels={levels}
          captions={preferences.captions}
          detailsOpen={detailsOpen}
          onCaptions={toggleCaptions}
          onDevices={() => {
            setOpen("devices");
          }}
          onCloseDetails={() => {
            setDetailsOpen(false);
          }}
          onAgain={() => {
            dial(joining);
          }}
          onRemedy={remedy}
          onKey={enterKey}
        />
      )}
      {open === "help" && <HelpDialog onClose={close} />}
      {open === "devices" && (
        <DevicesDialog choice={preferences} onChoose={chooseDevice} onClose={close} />
      )}
    </div>
  );
}
