// A dialog over the page with its title and a way out. Mantine's own header would be a second banner on the page.
import { CloseButton, Modal } from "@mantine/core";
import type { ReactNode } from "react";

interface DialogProps {
  opened: boolean;
  onClose: () => void;
  title: string;
  size: number | string;
  children: ReactNode;
}

export function Dialog({ opened, onClose, title, size, children }: DialogProps) {
  return (
    <Modal.Root opened={opened} onClose={onClose} size={size}>
      <Modal.Overlay />
      <Modal.Content>
        <Modal.Body>
          <div className="dialog-head">
            <Modal.Title>{title}</Modal.Title>
            <CloseButton aria-label="Close" onClick={onClose} />
          </div>
          {children}
        </Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
