/** The bar at the bottom: mute, captions, devices, hang up. */

import type { Call } from "../call/call.ts";
import type { CallView } from "../call/state.ts";
import { Icon, type IconName } from "./Icon.tsx";

interface ControlsProps {
  call: Call;
  view: CallView;
  captions: boolean;
  onCaptions: () => void;
  onDevices: () => void;
}

export function Controls({ call, view, captions, onCaptions, onDevices }: ControlsProps) {
  const { muted, hasMicrophone } = view;
  return (
    <div className="controls" role="toolbar" aria-label="Call">
      {hasMicrophone && (
        <Control
          icon={muted ? "microphone-off" : "microphone"}
          label={muted ? "Unmute" : "Mute"}
          tone={muted ? "control-on" : ""}
          keys="M"
          onPress={() => {
            call.setMuted(!muted);
          }}
        />
      )}
      <Control
        icon={captions ? "captions" : "captions-off"}
        label="Captions"
        pressed={captions}
        tone={captions ? "" : "control-off"}
        keys="C"
        onPress={onCaptions}
      />
      <Control icon="devices" label="Devices" tone="" onPress={onDevices} />
      <Control
        icon="hang-up"
        label="Hang up"
        tone="control-end"
        keys="Escape"
        onPress={() => {
          call.hangUp();
        }}
      />
    </div>
  );
}

interface ControlProps {
  icon: IconName;
  label: string;
  tone: string;
  keys?: string;
  pressed?: boolean;
  onPress: () => void;
}

function Control({ icon, label, tone, keys, pressed, onPress }: ControlProps) {
  return (
    <button
      type="button"
      className={`control ${tone}`}
      aria-pressed={pressed}
      aria-keyshortcuts={keys}
      onClick={onPress}
    >
      <span className="control-face">
        <Icon name={icon} />
      </span>
      <span className="control-label">{label}</span>
    </button>
  );
}
