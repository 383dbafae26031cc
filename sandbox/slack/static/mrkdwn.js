// Slack's mrkdwn as DOM nodes. Text never becomes markup: nodes are made, strings are not parsed as HTML.

import { withEmoji } from "./emoji.js";

const unescape = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.flat());
  return node;
}
export { make };

/** `names`: {user(id), channel(id), group(id)} give what a mention shows; {me} is highlighted. */
export function mrkdwn(text, names) {
  const parts = text.split("```");
  return parts.flatMap((part, index) =>
    index % 2 && index < parts.length - 1 ? [make("pre", "", unescape(part.replace(/^\n|\n$/g, "")))] : paragraphs(part, names),
  );
}

function paragraphs(text, names) {
  const nodes = [];
  for (const line of text.split("\n")) {
    const [, quote, bullet, rest] = line.match(/^(&gt; ?|> ?)?(• |- )?(.*)$/su);
    if (quote) nodes.push(make("blockquote", "", inline(rest, names)));
    else if (bullet) nodes.push(make("div", "bullet", inline(rest, names)));
    else nodes.push(make("div", rest ? "" : "gap", inline(rest, names)));
  }
  return nodes;
}

const SPECIAL = /<([^<>]+)>|`([^`\n]+)`/gu;

function inline(text, names) {
  const nodes = [];
  const held = []; // links and code may stand inside of bold: they are put back after the styles
  const plain = text.replace(SPECIAL, (_, token, code) => {
    held.push(code === undefined ? special(token, names) : codeNode(code));
    return `\ue000${held.length - 1}\ue001`;
  });
  nodes.push(...styled(plain, held));
  return nodes;
}

const STYLES = [
  [/(?<![\p{L}\p{N}*])\*(\S(?:[^*\n]*?\S)?)\*(?![\p{L}\p{N}*])/u, "strong"],
  [/(?<![\p{L}\p{N}_])_(\S(?:[^_\n]*?\S)?)_(?![\p{L}\p{N}_])/u, "em"],
  [/(?<![\p{L}\p{N}~])~(\S(?:[^~\n]*?\S)?)~(?![\p{L}\p{N}~])/u, "s"],
];

function styled(text, held) {
  for (const [pattern, tag] of STYLES) {
    const found = text.match(pattern);
    if (found) {
      const before = text.slice(0, found.index), after = text.slice(found.index + found[0].length);
      return [...styled(before, held), make(tag, "", styled(found[1], held)), ...styled(after, held)];
    }
  }
  return text.split(/(\ue000\d+\ue001)/u).flatMap((piece) =>
    piece.startsWith("\ue000") ? [held[Number(piece.slice(1, -1))]] : withEmoji(unescape(piece)),
  );
}

function codeNode(code) {
  const text = unescape(code);
  return /^[█▓▒░ ]+$/u.test(text) ? healBar(text) : make("code", "", text);
}

/** A bar of blocks keeps its characters, for those who copy or hear it, and is coloured. */
function healBar(text) {
  const full = text.lastIndexOf("█") + 1;
  return make("span", full === text.length ? "heal whole" : "heal", make("b", "", text.slice(0, full)), text.slice(full));
}

function special(token, names) {
  const [target, label] = [token.split("|")[0], token.split("|").slice(1).join("|")];
  if (target.startsWith("@")) return mention(`@${label || names.user(target.slice(1))}`, target.slice(1) === names.me);
  if (target.startsWith("#")) return mention(`#${label || names.channel(target.slice(1))}`, false);
  if (target.startsWith("!subteam^")) return mention(label || `@${names.group(target.slice(9))}`, names.inGroup(target.slice(9)));
  if (target.startsWith("!date^")) return dateNode(target, label);
  if (target.startsWith("!")) return mention(`@${target.slice(1)}`, true);
  return link(target, label);
}

const mention = (text, mine) => make("span", mine ? "mention mine" : "mention", text);

function link(target, label) {
  const node = make("a", "", unescape(label || target));
  if (/^(https?:|mailto:)/u.test(target)) node.href = unescape(target);
  node.rel = "noreferrer";
  node.target = "_blank";
  return node;
}

function dateNode(target, fallback) {
  const [, seconds, format] = target.split("^");
  const when = new Date(Number(seconds) * 1000);
  const show = (options) => new Intl.DateTimeFormat(undefined, options).format(when);
  const day = (style) => relativeDay(when) || show(style);
  const values = {
    "{time}": () => show({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    "{time_secs}": () => show({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
    "{date}": () => show({ dateStyle: "long" }),
    "{date_num}": () => when.toISOString().slice(0, 10),
    "{date_short}": () => show({ dateStyle: "medium" }),
    "{date_long}": () => show({ dateStyle: "full" }),
    "{date_pretty}": () => day({ dateStyle: "long" }),
    "{date_short_pretty}": () => day({ dateStyle: "medium" }),
    "{date_long_pretty}": () => day({ dateStyle: "full" }),
  };
  const node = make("time", "", unescape(format).replace(/\{[a-z_]+\}/gu, (name) => values[name]?.() ?? name));
  node.dateTime = when.toISOString();
  node.title = unescape(fallback);
  return node;
}

function relativeDay(when) {
  const days = Math.round((new Date(when).setHours(0, 0, 0, 0) - new Date().setHours(0, 0, 0, 0)) / 86_400_000);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days];
}

// ---- Block Kit ------------------------------------------------------------------------------------------------------

/** Blocks as nodes; a kind that is not drawn says so, rather than vanish. */
export function blockKit(blocks, names) {
  return blocks.map((block) => (BLOCKS[block.type] ?? unknown)(block, names));
}

const textOf = (object, names) =>
  !object ? [] : object.type === "plain_text" ? withEmoji(object.text) : mrkdwn(object.text, names);

const BLOCKS = {
  section: (block, names) => {
    const fields = (block.fields ?? []).map((field) => make("div", "field", textOf(field, names)));
    return make("div", "section", make("div", "", textOf(block.text, names)), fields.length ? make("div", "fields", fields) : []);
  },
  header: (block, names) => make("h3", "header", textOf(block.text, names)),
  divider: () => document.createElement("hr"),
  context: (block, names) =>
    make("div", "context", block.elements.map((one) => make("span", "", one.type === "image" ? picture(one) : textOf(one, names)))),
  image: (block) => make("figure", "", picture(block)),
  markdown: (block, names) => make("div", "section", mrkdwn(block.text, names)),
  actions: (block) =>
    make("div", "actions", block.elements.map((one) => clickable(one))),
};

function clickable(one) {
  const node = make("button", `button ${one.style ?? ""}`, withEmoji(one.text?.text ?? one.type));
  node.type = "button";
  node.dataset.action = one.action_id ?? "";
  return node;
}

const unknown = (block) => make("div", "context", `(a block of type ${block.type}, not drawn here)`);

function picture(one) {
  const image = document.createElement("img");
  image.src = one.image_url ?? `/files/${one.slack_file?.id}`;
  image.alt = one.alt_text ?? "";
  return image;
}
