/** Changes microphone and loudspeaker in mid-call. */

import { type DeviceChoice, DeviceFields } from "./DeviceFields.tsx";
import { Dialog } from "./Dialog.tsx";

interface DevicesDialogProps {
  choice: DeviceChoice;
  onChoose: (choice: Partial<DeviceChoice>) => void;
  onClose: () => void;
}

export function DevicesDialog({ choice, onChoose, onClose }: DevicesDialogProps) {
  return (
    <Dialog title="Devices" onClose={onClose}>
      <div className="dialog-fields">
        <DeviceFields choice={choice} occasion="call" onChoose={onChoose} />
      </div>
      <p className="quiet">The change is heard at once. What you plug in appears by itself.</p>
    </Dialog>
  );
}
