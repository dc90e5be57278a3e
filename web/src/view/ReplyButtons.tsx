/** What can be done about the reply itself, and how to end one's own turn in manual mode. */

import type { Call } from "../call/call.ts";
import type { CallView } from "../call/state.ts";
import { Icon, type IconName } from "./Icon.tsx";

export function ReplyButtons({ call, view }: { call: Call; view: CallView }) {
  const { stage, held, phase } = view;
  const mayCommit = view.mode === "manual" && phase === "listening" && view.hasMicrophone;
  return (
    <div className="reply-buttons">
      {view.audioBlocked && stage === "open" && (
        <ReplyButton
          icon="speaker"
          label="Start audio"
          tone="button-primary"
          onPress={() => void call.resumeAudio()}
        />
      )}
      {!held && phase === "speaking" && (
        <ReplyButton
          icon="pause"
          label="Pause"
          onPress={() => {
            call.control("PAUSE");
          }}
        />
      )}
      {held && (
        <ReplyButton
          icon="resume"
          label="Resume"
          onPress={() => {
            call.control("RESUME");
          }}
        />
      )}
      {(held || phase === "speaking") && (
        <ReplyButton
          icon="stop"
          label="Stop"
          onPress={() => {
            call.control("STOP");
          }}
        />
      )}
      {mayCommit && (
        <ReplyButton
          icon="check"
          label="Done"
          tone="button-primary"
          onPress={() => {
            call.commit();
          }}
        />
      )}
    </div>
  );
}

interface ReplyButtonProps {
  icon: IconName;
  label: string;
  tone?: string;
  onPress: () => void;
}

function ReplyButton({ icon, label, tone = "", onPress }: ReplyButtonProps) {
  return (
    <button type="button" className={`button button-small ${tone}`} onClick={onPress}>
      <Icon name={icon} />
      {label}
    </button>
  );
}
