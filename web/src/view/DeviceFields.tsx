/** Chooses the microphone and, where the browser allows it, the loudspeaker. */

import { type Device, useDevices } from "../device/list.ts";
import { canChooseOutput } from "../device/output.ts";
import type { Preferences } from "../device/preferences.ts";

export type DeviceChoice = Pick<Preferences, "inputDeviceId" | "outputDeviceId">;

interface DeviceFieldsProps {
  choice: DeviceChoice;
  /** Changes when a microphone was granted and names may be read. */
  occasion: string;
  onChoose: (choice: Partial<DeviceChoice>) => void;
}

export function DeviceFields({ choice, occasion, onChoose }: DeviceFieldsProps) {
  const { inputs, outputs } = useDevices(occasion);
  return (
    <>
      <DeviceSelect
        label="Microphone"
        fallback="System’s microphone"
        devices={inputs}
        chosen={choice.inputDeviceId}
        onChoose={(inputDeviceId) => {
          onChoose({ inputDeviceId });
        }}
      />
      {canChooseOutput() && (
        <DeviceSelect
          label="Speaker"
          fallback="System’s speaker"
          devices={outputs}
          chosen={choice.outputDeviceId}
          onChoose={(outputDeviceId) => {
            onChoose({ outputDeviceId });
          }}
        />
      )}
    </>
  );
}

interface DeviceSelectProps {
  label: string;
  fallback: string;
  devices: Device[];
  chosen: string | null;
  onChoose: (deviceId: string | null) => void;
}

function DeviceSelect({ label, fallback, devices, chosen, onChoose }: DeviceSelectProps) {
  const present = devices.some((device) => device.id === chosen);
  return (
    <label className="field">
      <span className="field-label">{label}</span>
      <select
        value={present ? (chosen ?? "") : ""}
        onChange={(event) => {
          onChoose(event.target.value === "" ? null : event.target.value);
        }}
      >
        <option value="">{fallback}</option>
        {devices.map(({ id, label: name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
