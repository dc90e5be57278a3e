/** Before the call: what this is, what the microphone is for, and one big button. */

import type { Joining } from "../call/call.ts";
import { chooseTransport, type EngineJob, type ServerInfo } from "../call/info.ts";
import type { Problem, Remedy } from "../call/problems.ts";
import { canCapture } from "../device/microphone.ts";
import type { Preferences } from "../device/preferences.ts";
import { Icon } from "./Icon.tsx";
import type { LevelFeed } from "./levels.ts";
import { Orb } from "./orb/Orb.tsx";
import { ProblemCard } from "./ProblemCard.tsx";
import { SettingsCard } from "./SettingsCard.tsx";
import { ENGINE_LABELS } from "./words.ts";

interface StartViewProps {
  info: ServerInfo | null;
  problem: Problem | null;
  preferences: Preferences;
  levels: LevelFeed;
  onPreferences: (change: Partial<Preferences>) => void;
  onDial: (joining: Joining) => void;
  onRemedy: (remedy: Exclude<Remedy, "enter-key">) => void;
  onKey: (key: string) => void;
}

export function StartView(props: StartViewProps) {
  const { info, problem, preferences, levels } = props;
  const isRoom = chooseTransport(preferences.transport, info) === "livekit";
  const listener = (isRoom ? info?.roomsHost : null) ?? location.host;
  return (
    <main className="start">
      <div className="start-welcome">
        <Orb phase="resting" levels={levels} />
        <h1>Talk with a machine</h1>
        <p className="lead">
          Parlor listens, answers aloud, and stops the moment you&nbsp;interrupt.
        </p>
        {problem === null ? (
          <Invitation listener={listener} onDial={props.onDial} />
        ) : (
          <ProblemCard problem={problem} onRemedy={props.onRemedy} onKey={props.onKey} />
        )}
      </div>
      <SettingsCard info={info} preferences={preferences} onChange={props.onPreferences} />
      {info !== null && <Engines info={info} />}
    </main>
  );
}

interface InvitationProps {
  /** Whose server hears the microphone first. */
  listener: string;
  onDial: (joining: Joining) => void;
}

function Invitation({ listener, onDial }: InvitationProps) {
  return (
    <>
      <div className="start-buttons">
        <button
          type="button"
          className="button button-primary button-big"
          onClick={() => {
            onDial("speaking");
          }}
        >
          <Icon name="microphone" />
          Start talking
        </button>
        <button
          type="button"
          className="button button-big"
          onClick={() => {
            onDial("typing");
          }}
        >
          Type instead
        </button>
      </div>
      <p className="microphone-note">
        {canCapture() ? (
          <>
            Next, your browser will ask for the microphone. What you say goes to <b>{listener}</b>,
            and only while the call is open.
          </>
        ) : (
          <>
            At this address the browser offers no microphone; it needs https, as with{" "}
            <code>parlor serve --dev-tls</code>. You can type instead.
          </>
        )}
      </p>
    </>
  );
}

const SHOWN_JOBS: EngineJob[] = ["stt", "responder", "tts", "vad", "denoise"];

function Engines({ info }: { info: ServerInfo }) {
  const running = SHOWN_JOBS.filter(
    (job) => !["off", "none", undefined].includes(info.engines[job]),
  );
  return (
    <footer className="engines">
      {running.length > 0 && (
        <dl aria-label="Engines of this server">
          {running.map((job) => (
            <div key={job}>
              <dt>{ENGINE_LABELS[job]}</dt>
              <dd>{info.engines[job]}</dd>
            </div>
          ))}
        </dl>
      )}
      {info.version !== "" && <p>parlor {info.version}</p>}
    </footer>
  );
}
