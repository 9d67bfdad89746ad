/** Small parts that several views share. */
import type { ComponentChildren } from "preact";
import { hueOf, initialsOf } from "./format.js";
import { Icon, type IconName } from "./icons.js";

/** A round picture of initials, with a dot where presence is known. */
export function Avatar({ id, name, online, small }: AvatarProps) {
  return (
    <span class={`avatar hue-${hueOf(id)} ${small ? "avatar-small" : ""}`} aria-hidden="true">
      {initialsOf(name)}
      {online !== undefined && <span class={`dot ${online ? "dot-online" : "dot-offline"}`} />}
    </span>
  );
}

interface AvatarProps {
  id: string;
  name: string;
  online?: boolean | undefined;
  small?: boolean;
}

/** A button that shows an icon alone. */
export function IconButton({ icon, label, onClick, pressed, disabled }: IconButtonProps) {
  return (
    <button
      type="button"
      class="icon-button"
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

interface IconButtonProps {
  icon: IconName;
  label: string;
  onClick: () => void;
  pressed?: boolean;
  disabled?: boolean;
}

/** What a list shows when it is empty. */
export function Empty({
  icon,
  title,
  children,
}: {
  icon: IconName;
  title: string;
  children?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <span class="empty-icon">
        <Icon name={icon} size={28} />
      </span>
      <h2>{title}</h2>
      <div class="empty-words">{children}</div>
    </div>
  );
}

/** Grey lines where content will be. */
export function Skeleton({ lines }: { lines: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} />
      ))}
    </div>
  );
}
