/** Where one writes: a message, a reply, or the new words of an old message. */
import type { Room } from "@carillon/client";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { nameOf } from "../ui/format.js";
import { Icon } from "../ui/icons.js";
import { IconButton } from "../ui/parts.js";
import { isOf, useClient } from "./context.js";
import type { Draft } from "./conversation.js";
import { wordsOf } from "./message.js";

/** The hub's bound where it has not said another. */
const CHARACTERS = 10_000;

interface ComposerProps {
  room: Room;
  me: string;
  draft: Draft;
  onDraft: (draft: Draft) => void;
  /** Carries out a command and shows what goes wrong. */
  act: (doing: Promise<unknown>) => void;
}

/** The field and its button. */
export function Composer({ room, me, draft, onDraft, act }: ComposerProps) {
  const client = useClient();
  const field = useRef<HTMLTextAreaElement>(null);
  const [words, setWords] = useState("");
  // Before anything else can be typed, which it would undo.
  useLayoutEffect(() => {
    if (draft.kind === "edit") setWords(wordsOf(draft.to));
    if (draft.kind !== "send") field.current?.focus();
  }, [draft]);
  useLayoutEffect(() => fit(field.current), [words]);

  const reset = () => {
    setWords("");
    onDraft({ kind: "send" });
    room.setTyping(false);
  };
  const submit = () => {
    const text = words.trim();
    if (text === "") return;
    if (draft.kind === "edit") {
      const content = { body: { case: "text", value: text } } as const;
      act(client.edit({ room: room.name, seq: draft.to.seq, content }));
    } else {
      // A message that failed stays in the list, with what to do about it.
      room.send(text, draft.kind === "reply" ? { replyTo: draft.to.seq } : {}).catch(() => {});
    }
    reset();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    } else if (event.key === "Escape" && draft.kind !== "send") {
      reset();
    } else if (event.key === "ArrowUp" && words === "") {
      const last = room.messages.findLast((message) => isOf(me, message) && !message.deleted);
      if (last) onDraft({ kind: "edit", to: last });
    }
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <DraftNote draft={draft} onCancel={reset} />
      <div class="composer-row">
        <textarea
          ref={field}
          rows={1}
          value={words}
          maxLength={client.session?.limits?.contentChars || CHARACTERS}
          aria-label="Message"
          placeholder="Write a message"
          enterkeyhint="send"
          onKeyDown={onKey}
          onInput={(event) => {
            setWords(event.currentTarget.value);
            room.setTyping(event.currentTarget.value !== "");
          }}
          onBlur={() => room.setTyping(false)}
        />
        <button type="submit" class="send" aria-label="Send" disabled={words.trim() === ""}>
          <Icon name={draft.kind === "edit" ? "check" : "send"} />
        </button>
      </div>
    </form>
  );
}

function DraftNote({ draft, onCancel }: { draft: Draft; onCancel: () => void }) {
  if (draft.kind === "send") return null;
  return (
    <div class="draft-note">
      <Icon name={draft.kind === "edit" ? "edit" : "reply"} size={16} />
      <p>
        <strong>{draft.kind === "edit" ? "Edit message" : `Reply to ${nameOf(draft.to.sender)}`}</strong>
        <span>{wordsOf(draft.to)}</span>
      </p>
      <IconButton icon="close" label="Cancel" onClick={onCancel} />
    </div>
  );
}

/** As high as its words, up to the style's bound. */
function fit(field: HTMLTextAreaElement | null): void {
  if (field === null) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}
