/** How the next call shall be: voice, turn-taking, connection, devices. */

import { chooseTransport, type ServerInfo } from "../call/info.ts";
import { type SessionMode, type Transport, TRANSPORTS } from "../call/protocol.ts";
import type { Preferences } from "../device/preferences.ts";
import { DeviceFields } from "./DeviceFields.tsx";
import { languageName, MODE_LABELS, TRANSPORT_LABELS, voicesByEngine } from "./words.ts";

interface SettingsCardProps {
  info: ServerInfo | null;
  preferences: Preferences;
  onChange: (change: Partial<Preferences>) => void;
}

const MODES: SessionMode[] = ["duplex", "mute", "manual"];

/** What every server has a switch for; LiveKit shows only where there is a LiveKit server. */
const DIRECT: Transport[] = ["webrtc", "websocket"];

export function SettingsCard({ info, preferences, onChange }: SettingsCardProps) {
  return (
    <section className="settings" aria-label="Call settings">
      <VoiceField info={info} voice={preferences.voice} onChange={onChange} />
      <label className="field">
        <span className="field-label">Turn-taking</span>
        <select
          value={preferences.mode ?? info?.mode ?? "duplex"}
          onChange={(event) => {
            const mode = MODES.find((candidate) => candidate === event.target.value);
            onChange({ mode: mode ?? null });
          }}
        >
          {MODES.map((mode) => (
            <option key={mode} value={mode}>
              {MODE_LABELS[mode]}
            </option>
          ))}
        </select>
      </label>
      <TransportField
        offered={info?.transports ?? DIRECT}
        transport={chooseTransport(preferences.transport, info)}
        onChange={onChange}
      />
      <DeviceFields choice={preferences} occasion="start" onChoose={onChange} />
    </section>
  );
}

interface VoiceFieldProps {
  info: ServerInfo | null;
  voice: string | null;
  onChange: (change: Partial<Preferences>) => void;
}

function VoiceField({ info, voice, onChange }: VoiceFieldProps) {
  const voices = info?.voices ?? [];
  const known = voices.some((candidate) => candidate.id === voice);
  return (
    <label className="field">
      <span className="field-label">Voice</span>
      <select
        value={known ? (voice ?? "") : ""}
        onChange={(event) => {
          onChange({ voice: event.target.value === "" ? null : event.target.value });
        }}
      >
        <option value="">The server’s own choice</option>
        {voicesByEngine(voices).map(([engine, members]) => (
          <optgroup key={engine} label={engine === "" ? "Voices" : engine}>
            {members.map(({ id, name, language }) => (
              <option key={id} value={id}>
                {language === "" ? name : `${name} · ${languageName(language)}`}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </label>
  );
}

interface TransportFieldProps {
  offered: Transport[];
  transport: Transport;
  onChange: (change: Partial<Preferences>) => void;
}

function TransportField({ offered, transport, onChange }: TransportFieldProps) {
  return (
    <fieldset className="field">
      <legend className="field-label">Connection</legend>
      <div className="switch">
        {TRANSPORTS.filter(
          (candidate) => DIRECT.includes(candidate) || offered.includes(candidate),
        ).map((candidate) => (
          <label key={candidate} className="switch-choice">
            <input
              type="radio"
              name="transport"
              value={candidate}
              checked={candidate === transport}
              disabled={!offered.includes(candidate)}
              onChange={() => {
                onChange({ transport: candidate });
              }}
            />
            <span>{TRANSPORT_LABELS[candidate]}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
