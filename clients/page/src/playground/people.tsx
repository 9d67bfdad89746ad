/** The members of a conversation, and who of them is there. */
import { Role, type Room } from "@carillon/client";
import { useEffect, useState } from "preact/hooks";
import { nameOf } from "../ui/format.js";
import { Avatar, IconButton } from "../ui/parts.js";
import { useClient } from "./context.js";

interface Person {
  user: string;
  role: Role;
}

interface PeopleProps {
  room: Room;
  me: string;
  onClose: () => void;
  /** Carries out a command and shows what goes wrong. */
  act: (doing: Promise<unknown>) => void;
}

const ROLES: Partial<Record<Role, string>> = {
  [Role.OWNER]: "Owner",
  [Role.MODERATOR]: "Moderator",
  [Role.READER]: "Reader",
};

/** The panel at the side. */
export function People({ room, me, onClose, act }: PeopleProps) {
  const members = useMembers(room);
  const listed = new Set(members.map(({ user }) => user));
  const guests = [...room.presence.keys()].filter((user) => !listed.has(user));
  const people = [...members, ...guests.map((user) => ({ user, role: Role.UNSPECIFIED }))];
  const mayAdd = room.joined?.role === Role.OWNER || room.joined?.role === Role.MODERATOR;
  return (
    <aside class="people" aria-label="People">
      <div class="people-head">
        <h2>People</h2>
        <IconButton icon="close" label="Close" onClick={onClose} />
      </div>
      <ul>
        {people.map(({ user, role }) => (
          <li key={user}>
            <Avatar id={user} name={nameOf(user)} online={room.presence.has(user)} small />
            <span>
              {nameOf(user)}
              {user === me && <span class="quiet"> (you)</span>}
            </span>
            <small>{ROLES[role] ?? ""}</small>
          </li>
        ))}
      </ul>
      {mayAdd && <AddMember room={room} act={act} />}
    </aside>
  );
}

function AddMember({ room, act }: { room: Room; act: (doing: Promise<unknown>) => void }) {
  const client = useClient();
  const add = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const user = String(new FormData(form).get("user")).trim();
    if (user === "") return;
    act(client.addMember(room.name, user).then(() => form.reset()));
  };
  return (
    <form class="people-add" onSubmit={add}>
      <label for="add-member">Add a member</label>
      <div class="field-row">
        <input id="add-member" name="user" autocomplete="off" placeholder="User id" />
        <button type="submit" class="button button-quiet">
          Add
        </button>
      </div>
    </form>
  );
}

/** The members, read again at each change of a membership. */
function useMembers(room: Room): Person[] {
  const client = useClient();
  const [members, setMembers] = useState<Person[]>([]);
  useEffect(() => {
    const read = () => {
      // A room without members, as the lobby, answers with none or not at all.
      client.members({ room: room.name, limit: 200 }).then(
        (page) => setMembers(page.members),
        () => setMembers([]),
      );
    };
    read();
    return room.on("membership", read);
  }, [client, room]);
  return members;
}
