// The page: one channel with its threads, seen by whoever "you are", kept up to date by a websocket.

import { emojiNamed } from "./emoji.js";
import { blockKit, make, mrkdwn } from "./mrkdwn.js";

const QUICK = ["white_check_mark", "x", "eyes", "raised_hand"];
const COLOURS = ["#2f7d6b", "#7a4fa3", "#b0602a", "#3a6ea8", "#9a3b52", "#5c7a2f"];
const RUN_S = 300;
const CLUSTER_MS = 1000;
const PHONES_MS = 500;
const AGAIN_MS = 1000;

const $ = (id) => document.getElementById(id);
const state = { me: "", channel: "", thread: "", users: new Map(), channels: new Map(), groups: new Map(), messages: new Map(), commands: [] };
let live;

// ---- names ----------------------------------------------------------------------------------------------------------

const names = {
  get me() { return state.me; },
  user: (id) => state.users.get(id)?.name ?? id,
  channel: (id) => state.channels.get(id)?.name ?? id,
  group: (id) => state.groups.get(id)?.handle ?? id,
  inGroup: (id) => state.groups.get(id)?.users.includes(state.me) ?? false,
};

const people = () => [...state.users.values()].filter((user) => !user.is_bot && !user.deleted);
const realName = (id) => state.users.get(id)?.real_name ?? id;
const clock = (ts) => new Date(Number(ts) * 1000).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

function avatar(id, small) {
  const user = state.users.get(id);
  const node = make("span", small ? "avatar small" : "avatar");
  if (user?.is_bot) node.append(emojiNamed(id === state.bot ? "wrench" : "bell"));
  else node.append((user?.real_name ?? "?")[0]);
  node.classList.toggle("bot", Boolean(user?.is_bot));
  const index = [...state.users.keys()].indexOf(id);
  if (!user?.is_bot) node.style.background = COLOURS[(index + COLOURS.length) % COLOURS.length];
  return node;
}

// ---- what is shown where ----------------------------------------------------------------------------------------------

const visible = (message) => message.channel === state.channel && (!message.only_for || message.only_for === state.me);
const topLevel = (message) => visible(message) && (!message.thread_ts || message.broadcast);
const inThread = (message) => visible(message) && (message.ts === state.thread || message.thread_ts === state.thread);
const replies = (ts) => [...state.messages.values()].filter((message) => message.thread_ts === ts && visible(message));

const panes = [
  { list: $("messages"), shows: topLevel },
  { list: $("thread"), shows: (message) => Boolean(state.thread) && inThread(message) },
];

// A direct message is shown to its own person alone.
const mayEnter = (room) => Boolean(room) && (!room.is_im || room.members.includes(state.me));
const roomName = (room) => (room.is_im ? `@ ${realName(state.bot)}` : `# ${room.name}`);

function draw() {
  if (!mayEnter(state.channels.get(state.channel))) Object.assign(state, { channel: [...state.channels.keys()][0] ?? "", thread: "" });
  const room = state.channels.get(state.channel);
  $("room").textContent = room ? roomName(room) : "";
  $("topic").textContent = room?.topic ?? "";
  $("where").textContent = room ? roomName(room) : "";
  $("side").hidden = !state.thread;
  document.body.classList.toggle("split", Boolean(state.thread));
  drawRail();
  for (const { list, shows } of panes) {
    list.replaceChildren(...[...state.messages.values()].filter(shows).map((message) => item(message, list)));
    list.scrollTop = list.scrollHeight;
  }
}

function drawRail() {
  $("channels").replaceChildren(...[...state.channels.values()].filter(mayEnter).map((channel) =>
    button(channel.id === state.channel ? "channel here" : "channel", roomName(channel), () => go({ channel: channel.id, thread: "" }))));
  const choosing = $("people").contains(document.activeElement);
  $("people").replaceChildren(...people().map((user) => {
    const here = user.id === state.me;
    const node = button(here ? "person here" : "person", "", () => become(user.id));
    node.append(avatar(user.id, true), make("span", "", make("b", "", user.real_name), make("small", "", user.title)));
    node.title = `${user.real_name}, ${user.title}`;
    node.setAttribute("role", "radio");
    node.setAttribute("aria-checked", String(here));
    node.tabIndex = here ? 0 : -1;
    return node;
  }));
  if (choosing) $("people").querySelector(".here")?.focus();
  for (const form of [composer, answer]) form.address();
}

function button(className, text, act) {
  const node = make("button", className, text);
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

// ---- a message --------------------------------------------------------------------------------------------------------

function item(message, list) {
  const node = make("li", "message");
  node.dataset.ts = message.ts;
  node.classList.toggle("private", Boolean(message.only_for));
  node.classList.toggle("parent", list.id === "thread" && message.ts === state.thread);
  const body = make("div", "body", head(message), content(message), chips(message));
  if (list.id === "messages") body.append(...threadLink(message));
  const follows = followsOwn(message, list);
  node.classList.toggle("follows", follows);
  node.append(follows ? make("time", "when", clock(message.ts)) : avatar(message.user), body);
  if (message.only_for) node.prepend(make("p", "only", "Only visible to you"));
  else node.append(tools(message, list));
  return node;
}

/** Does it go on where the same author just spoke? Then their name need not be said again. */
function followsOwn(message, list) {
  const shown = [...state.messages.values()].filter(panes.find((pane) => pane.list === list).shows);
  const last = shown[shown.indexOf(message) - 1];
  const own = last && last.user === message.user && !last.only_for && !message.only_for && last.ts !== state.thread;
  return Boolean(own && Number(message.ts) - Number(last.ts) < RUN_S);
}

function head(message) {
  const name = make("b", "name", realName(message.user));
  const badge = state.users.get(message.user)?.is_bot ? [make("span", "badge", "APP")] : [];
  const when = make("time", "when", clock(message.ts));
  when.title = new Date(Number(message.ts) * 1000).toLocaleString();
  return make("div", "head", name, ...badge, when);
}

function content(message) {
  const node = make("div", "content");
  node.append(...(message.blocks.length ? blockKit(message.blocks, names) : mrkdwn(message.text, names)));
  for (const pressed of node.querySelectorAll("button[data-action]"))
    pressed.addEventListener("click", () => send({ act: "click", user: state.me, ts: message.ts, action: pressed.dataset.action }));
  if (message.edited) node.append(make("span", "edited", "(edited)"));
  for (const file of message.files) {
    const image = make("img", "file");
    image.src = file.url_private;
    image.alt = file.title;
    node.append(image);
  }
  return node;
}

function chips(message) {
  const nodes = Object.entries(message.reactions).map(([name, users]) => {
    const mine = users.includes(state.me);
    const chip = button(mine ? "chip mine" : "chip", "", () => toggle(message, name));
    chip.append(emojiNamed(name), make("span", "", String(users.length)));
    chip.title = `${users.map(realName).join(", ")} reacted with :${name}:`;
    chip.setAttribute("aria-pressed", String(mine));
    chip.dataset.emoji = name;
    return chip;
  });
  return make("div", "chips", nodes);
}

function threadLink(message) {
  const found = replies(message.ts);
  if (!found.length) return [];
  const last = found[found.length - 1];
  const count = found.length === 1 ? "1 reply" : `${found.length} replies`;
  const node = button("replies", "", () => go({ thread: message.ts }));
  const faces = [...new Set(found.map((reply) => reply.user))].slice(0, 4).map((id) => avatar(id, true));
  node.append(...faces, make("b", "", count), make("span", "", `Last reply ${clock(last.ts)}`));
  return [node];
}

function tools(message, list) {
  const quick = QUICK.map((name) => {
    const node = button("plain", "", () => toggle(message, name));
    node.append(emojiNamed(name));
    node.title = `React with :${name}:`;
    return node;
  });
  const other = button("plain", "☺+", () => {
    const name = prompt("Which emoji? For instance: octagonal_sign")?.replaceAll(":", "").trim();
    if (name) toggle(message, name);
  });
  other.title = "React with another emoji";
  const reply = button("plain", "💬", () => go({ thread: message.thread_ts || message.ts }));
  reply.replaceChildren(make("span", "speech"));
  reply.title = "Reply in thread";
  return make("div", "tools", quick, other, list.id === "messages" ? reply : []);
}

const toggle = (message, emoji) =>
  send({ act: message.reactions[emoji]?.includes(state.me) ? "unreact" : "react", user: state.me, ts: message.ts, emoji });

// ---- changes ----------------------------------------------------------------------------------------------------------

const HEARD = {
  all: everything,
  posted: changed,
  changed,
  deleted: ({ message }) => { state.messages.delete(message.ts); draw(); },
  refused: ({ code }) => toast(`Slack says: ${code}`),
};

function everything(all) {
  for (const key of ["users", "channels", "groups"]) state[key] = new Map(all[key].map((one) => [one.id, one]));
  state.messages = new Map(all.messages.map((message) => [message.ts, message]));
  state.commands = all.commands;
  state.bot = all.bot;
  state.me ||= sessionStorage.getItem("me") ?? "";
  if (!state.users.has(state.me)) state.me = people()[0]?.id ?? "";
  if (!state.channels.has(state.channel)) state.channel = all.channels[0]?.id ?? "";
  fromAddress();
  draw();
  $("messages").dataset.empty = "Nothing was said here yet. As Alice, type /upgrade cluster below, or / to see every command.";
  if (all.cluster) watchCluster();
  if (all.phones) watchPhones();
}

function changed({ message, channel }) {
  state.messages.set(message.ts, message);
  if (channel && !state.channels.has(channel.id)) {
    state.channels.set(channel.id, channel);
    drawRail();
  }
  for (const { list, shows } of panes) if (shows(message)) place(list, message);
  const parent = message.thread_ts && state.messages.get(message.thread_ts);
  if (parent && topLevel(parent)) place($("messages"), parent);
}

/** Into its place in a list, which stays at its end if it was there. */
function place(list, message) {
  const atEnd = isAtEnd(list);
  const old = list.querySelector(`[data-ts="${message.ts}"]`);
  const fresh = item(message, list);
  const held = old ? presses(old).indexOf(document.activeElement) : -1;
  if (old) old.replaceWith(fresh);
  else list.append(fresh);
  presses(fresh)[held]?.focus({ preventScroll: true }); // whoever is on a button stays there while its message changes
  fresh.classList.toggle("fresh", !old);
  if (atEnd) list.scrollTop = list.scrollHeight;
}

const presses = (node) => [...node.querySelectorAll("button, a[href]")];
const isAtEnd = (list) => list.scrollHeight - list.scrollTop - list.clientHeight < 80;

// The head above a list grows and shrinks: who read the end goes on reading the end.
for (const { list } of panes) {
  let atEnd = true;
  list.addEventListener("scroll", () => { atEnd = isAtEnd(list); });
  new ResizeObserver(() => { if (atEnd) list.scrollTop = list.scrollHeight; }).observe(list);
}

// ---- doing ------------------------------------------------------------------------------------------------------------

function send(ask) {
  if (live?.readyState === WebSocket.OPEN) live.send(JSON.stringify(ask));
  else toast("Slack cannot be reached; this was not sent.");
}

function become(user) {
  state.me = user;
  sessionStorage.setItem("me", user);
  draw();
}

// A radio group takes the arrow keys; Escape closes the thread.
$("people").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const all = people().map((user) => user.id);
  become(all[(all.indexOf(state.me) + step + all.length) % all.length]);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !state.thread) return;
  go({ thread: "" });
  $("composer").querySelector("textarea").focus();
});

function go(where) {
  Object.assign(state, where);
  draw();
}

/** A permalink opens its message: /archives/C0LAB/p1700000000000000?thread_ts=… */
function fromAddress(url = new URL(location.href)) {
  const found = url.pathname.match(/^\/archives\/(\w+)\/p(\d+)(\d{6})$/);
  if (!found || !state.channels.has(found[1])) return false;
  state.channel = found[1];
  state.thread = url.searchParams.get("thread_ts") ?? `${found[2]}.${found[3]}`;
  return true;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (link && new URL(link.href).origin === location.origin && fromAddress(new URL(link.href))) {
    event.preventDefault();
    draw();
  }
});

function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { $("toast").hidden = true; }, 4000);
}

// ---- the composer -----------------------------------------------------------------------------------------------------

function compose(form, thread) {
  const field = make("textarea");
  field.rows = 1;
  let last = ""; // what was typed before: the arrow up brings it back
  const hint = make("ul", "hints");
  hint.hidden = true;
  const go = make("button", "send", "Send");
  go.title = "Send (Enter)";
  form.append(hint, field, go);
  const submit = () => {
    const text = field.value.trim();
    if (text) send({ act: "type", user: state.me, channel: state.channel, text, thread: thread() });
    last = text || last;
    field.value = "";
    suggest();
  };
  const suggest = () => {
    const fits = field.value.startsWith("/") && !field.value.includes(" ") ? state.commands.filter((one) => one.startsWith(field.value)) : [];
    hint.replaceChildren(...fits.map((command) => make("li", "", button("plain", command, () => {
      field.value = `${command} `;
      field.focus();
      suggest();
    }))));
    hint.hidden = !fits.length;
  };
  field.addEventListener("input", suggest);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    } else if (event.key === "Tab" && !event.shiftKey && !hint.hidden) {
      event.preventDefault();
      hint.querySelector("button").click();
    } else if (event.key === "ArrowUp" && !field.value && last) {
      event.preventDefault();
      field.value = last;
    }
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  form.address = () => {
    const room = state.channels.get(state.channel);
    const where = thread() ? "Reply" : `Message ${room ? roomName(room).replace("# ", "#") : ""}, or type / for a command`;
    field.placeholder = `${where} · as ${realName(state.me)}`;
    field.setAttribute("aria-label", where);
  };
  return form;
}

const composer = compose($("composer"), () => "");
const answer = compose($("reply"), () => state.thread);
$("close").addEventListener("click", () => go({ thread: "" }));

// ---- the simulated cluster ----------------------------------------------------------------------------------------------

let watching = false;

async function watchCluster() {
  if (watching) return;
  watching = true;
  for (;;) {
    try {
      drawCluster(await (await fetch("/sandbox/cluster")).json());
    } catch {
      $("cluster").classList.add("stale");
    }
    await new Promise((resolve) => setTimeout(resolve, CLUSTER_MS));
  }
}

function drawCluster(cluster) {
  $("cluster").hidden = false;
  $("cluster").classList.remove("stale");
  const title = make("div", "told", make("b", "", cluster.name ?? "cluster"), make("span", "", cluster.note ?? ""));
  $("cluster").replaceChildren(title, make("div", "nodes", (cluster.nodes ?? []).map(nodeCard)));
}

function nodeCard(node) {
  const card = make("div", `node ${node.tone ?? ""}`);
  const pending = node.pending;
  const peak = Math.max(node.peak ?? 0, pending ?? 0);
  const share = pending === null || pending === undefined ? 0 : peak ? 1 - pending / peak : 1;
  const bar = make("span", "gauge", make("i"));
  bar.firstChild.style.width = `${Math.round(share * 100)}%`;
  const healing = pending === null || pending === undefined ? "no answer" : `${pending.toLocaleString()} pending`;
  card.classList.toggle("pending", Boolean(pending));
  card.append(
    make("div", "title", make("span", "lamp"), make("b", "", node.name), make("span", "state", node.state ?? "")),
    make("div", "small", node.kernel ?? ""),
    make("div", "heals", bar, make("span", "", healing)),
    make("div", "guests", (node.guests ?? []).map((guest) => make("span", "guest", guest))),
  );
  return card;
}

// ---- what rings -------------------------------------------------------------------------------------------------------

let listening = false;

async function watchPhones() {
  if (listening) return;
  listening = true;
  for (;;) {
    await lookAtPhones();
    await new Promise((resolve) => setTimeout(resolve, PHONES_MS));
  }
}

async function lookAtPhones() {
  const ringing = await fetch("/sandbox/phones").then((answer) => answer.json()).catch(() => null);
  $("phones").classList.toggle("stale", !ringing);
  if (ringing) drawPhones(ringing);
}

function drawPhones({ calls, pushes }) {
  const cards = [...calls.map(callCard), ...pushes.map(pushCard)];
  const drawn = JSON.stringify([calls, pushes]);
  $("phones").hidden = !cards.length;
  if ($("phones").drawn === drawn) return; // a button that is pressed right now stays where it is
  $("phones").drawn = drawn;
  $("phones").replaceChildren(...cards);
}

const CALLS = {
  "queued": ["phone is dialled", "busy"], "ringing": ["phone rings", "bad"], "in-progress": ["on the phone", "busy"], "completed": ["call ended", ""],
  "busy": ["line is busy", ""], "no-answer": ["did not answer", ""], "failed": ["cannot be reached", "bad"], "canceled": ["call cancelled", ""],
};

function callCard(call) {
  const [state, tone] = CALLS[call.status] ?? [call.status, ""];
  const said = make("div", "said", call.said.map((line, index) => make("p", index === call.said.length - 1 ? "now" : "", line)));
  const buttons = [];
  if (call.status === "ringing" && !call.left) {
    buttons.push(ringButton("Answer", "answer", call.id), ringButton("Let it ring", "leave", call.id));
  }
  if (call.listens) buttons.push(ringButton("Press 1", "press", call.id));
  return ringCard("phone", tone, call.person, call.left && call.status === "ringing" ? "rings on" : state, call.number, said, buttons);
}

function pushCard(push) {
  const ringing = push.state === "ringing";
  const times = push.rings === 1 ? "once" : `${push.rings} times`;
  const said = make("div", "said", make("p", "now", `${push.title}: ${push.text}`));
  const state = ringing ? `push, rang ${times}` : push.state === "acknowledged" ? "push acknowledged" : "push stopped";
  const buttons = ringing ? [ringButton("Acknowledge", "acknowledge", push.id)] : [];
  return ringCard("push", ringing ? "bad" : "", push.person, state, "Pushover", said, buttons);
}

function ringCard(kind, tone, person, word, by, said, buttons) {
  const name = people().find((user) => user.name === person)?.real_name ?? person;
  const title = make("div", "title", make("span", "lamp"), make("b", "", name), make("span", "", word), make("span", "state", by));
  const card = make("div", `ring ${kind} ${tone}`, title, said, make("div", "acts", buttons));
  card.classList.toggle("over", !buttons.length && tone === "");
  return card;
}

function ringButton(text, act, id) {
  return button(act === "leave" ? "quiet" : "act", text, async () => {
    await fetch("/sandbox/phones", { method: "POST", body: JSON.stringify({ act, id }), headers: { "Content-Type": "application/json" } });
    await lookAtPhones();
  });
}

// ---- the line -----------------------------------------------------------------------------------------------------------

function connect() {
  live = new WebSocket(`ws://${location.host}/sandbox/live`);
  live.addEventListener("message", (event) => {
    const heard = JSON.parse(event.data);
    HEARD[heard.kind]?.(heard);
  });
  live.addEventListener("open", () => { $("away").hidden = true; });
  live.addEventListener("close", () => {
    $("away").hidden = false;
    setTimeout(connect, AGAIN_MS);
  });
}

connect();
