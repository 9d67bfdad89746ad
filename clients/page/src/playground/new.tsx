/** Starting a conversation. */
import { useEffect, useRef, useState } from "preact/hooks";
import { devTokens, identityOf } from "../identity.js";
import { nameOf } from "../ui/format.js";
import { IconButton } from "../ui/parts.js";
import { useClient } from "./context.js";
import { Problem } from "./playground.js";

/** A dialog that asks for members and a title. With one member and no title it is the direct conversation of the two. */
export function NewConversation({
  onCreated,
  onClose,
}: {
  onCreated: (room: string) => void;
  onClose: () => void;
}) {
  const client = useClient();
  const dialog = useRef<HTMLDialogElement>(null);
  const [error, setError] = useState<unknown>();
  const [isBusy, setIsBusy] = useState(false);
  const suggestions = useSuggestions(client.user);
  useEffect(() => dialog.current?.showModal(), []);

  const create = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const users = [...new Set(String(form.get("members")).split(/[\s,]+/))].filter((user) => user !== "");
    const title = String(form.get("title")).trim();
    const members = users.map((user) => ({ user }));
    setIsBusy(true);
    try {
      const isDirect = users.length === 1 && title === "";
      const created = await client.createConversation(
        isDirect ? { members, direct: true } : { members, metadata: { title } },
      );
      onCreated(created.room);
    } catch (problem) {
      setError(problem);
      setIsBusy(false);
    }
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="new-title" onClose={onClose}>
      <form onSubmit={(event) => void create(event)}>
        <div class="dialog-head">
          <h2 id="new-title">New conversation</h2>
          <IconButton icon="close" label="Close" onClick={() => dialog.current?.close()} />
        </div>
        <label for="members">Members</label>
        <input
          id="members"
          name="members"
          required
          list="people"
          autocomplete="off"
          placeholder={suggestions[0] ?? "user ids"}
        />
        <datalist id="people">
          {suggestions.map((user) => (
            <option key={user} value={user}>
              {nameOf(user)}
            </option>
          ))}
        </datalist>
        <p class="hint">
          User ids, with commas between them. One member and no title make it a direct conversation.
        </p>
        <label for="title">Title</label>
        <input id="title" name="title" maxLength={80} autocomplete="off" placeholder="Optional" />
        <Problem error={error} />
        <div class="dialog-end">
          <button type="submit" class="button" disabled={isBusy}>
            Start
          </button>
        </div>
      </form>
    </dialog>
  );
}

function useSuggestions(me: string): string[] {
  const [users, setUsers] = useState<string[]>([]);
  useEffect(() => {
    void devTokens().then((dev) => {
      const people = Object.entries(dev?.tokens ?? {}).filter(([, token]) => !identityOf(token)?.isService);
      setUsers(people.map(([name]) => name).filter((name) => name !== me));
    });
  }, [me]);
  return users;
}
