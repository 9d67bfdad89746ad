import { render } from "preact";
import { App } from "./app.js";
import { applyTheme, storedTheme } from "./ui/theme.js";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/rooms.css";
import "./styles/conversation.css";
import "./styles/message.css";
import "./styles/inbox.css";

applyTheme(storedTheme());
const root = document.getElementById("app");
if (root) render(<App />, root);
