// The emoji that a maintenance bot and its people use, drawn here: a bare machine has no emoji font, and nothing is
// fetched from elsewhere. What is not in the list is left to the reader's own fonts.

const RED = "#d63b3b", GREEN = "#2f9e5b", AMBER = "#e0a100", BLUE = "#3a7bd5", GREY = "#8a929b", SKIN = "#f2b84b", BROWN = "#a9713c";

const fill = (colour, d) => `<path fill="${colour}" d="${d}"/>`;
const line = (colour, d, width = 2.4) =>
  `<path fill="none" stroke="${colour}" stroke-width="${width}" stroke-linecap="round" stroke-linejoin="round" d="${d}"/>`;
const disc = (colour, r = 10) => `<circle cx="12" cy="12" r="${r}" fill="${colour}"/>`;
const tile = (colour) => `<rect x="2" y="2" width="20" height="20" rx="4.5" fill="${colour}"/>`;
const dot = (x, y, r, colour) => `<circle cx="${x}" cy="${y}" r="${r}" fill="${colour}"/>`;

const hourglass = (sand) =>
  fill(BROWN, "M5 2h14v2.6H5zM5 19.4h14V22H5z") + fill("#dbe7f2", "M7 4.6h10v3.2L13.4 12l3.6 4.2v3.2H7v-3.2L10.6 12 7 7.8z") + fill(SKIN, sand);
const hand = fill(SKIN, "M6.2 13.5V6.2a1.3 1.3 0 0 1 2.6 0V4.3a1.3 1.3 0 0 1 2.6 0V3.5a1.3 1.3 0 0 1 2.6 0v1a1.3 1.3 0 0 1 2.6 0v8.1l1-1.9c.9-1.5 2.6-.7 2.2.8l-2.2 6.4A6.6 6.6 0 0 1 12.4 22 6.3 6.3 0 0 1 6.2 16z");
const thumb = fill(SKIN, "M3 11h4v10H3zM8.2 11.2 12 3.2c1.9 0 2.8 1.3 2.4 3l-.6 3h5.3c1.4 0 2.3 1.2 1.9 2.5l-2 7.3c-.3 1.2-1.2 2-2.5 2H8.2z");

// character, names as Slack has them (the first is shown), drawing
const DRAWN = [
  ["✅", "white_check_mark", tile(GREEN) + line("#fff", "M6.5 12.5l4 4 7-8.5", 2.8)],
  ["☑️", "ballot_box_with_check", tile(BLUE) + line("#fff", "M6.5 12.5l4 4 7-8.5", 2.8)],
  ["✔️", "heavy_check_mark", line(GREEN, "M4.5 13l5 5.5 10-13", 3.4)],
  ["❌", "x", line(RED, "M5 5l14 14M19 5 5 19", 3.8)],
  ["⛔", "no_entry", disc(RED) + fill("#fff", "M6 10.2h12v3.6H6z")],
  ["🛑", "octagonal_sign stop_sign", fill(RED, "M8 2h8l6 6v8l-6 6H8l-6-6V8z") + fill("#fff", "M6.5 10.4h11v3.2h-11z")],
  ["🚨", "rotating_light", fill(RED, "M6 18v-6a6 6 0 0 1 12 0v6z") + fill("#fff8", "M9 17v-5a3 3 0 0 1 2-2.8V17z") + fill(GREY, "M4 18h16v3.5H4z") + line(RED, "M12 1.5v2M3.5 6l1.7 1M20.5 6l-1.7 1", 1.8)],
  ["⚠️", "warning", fill(AMBER, "M12 2.5 22.5 21h-21z") + fill("#231d00", "M10.9 9h2.2l-.3 6h-1.6zM10.9 16.5h2.2v2.2h-2.2z")],
  ["👀", "eyes", `<ellipse cx="7" cy="12" rx="4.6" ry="6.5" fill="#fff" stroke="#777" stroke-width=".8"/><ellipse cx="17" cy="12" rx="4.6" ry="6.5" fill="#fff" stroke="#777" stroke-width=".8"/>` + dot(8.3, 12.8, 2.5, "#222") + dot(18.3, 12.8, 2.5, "#222")],
  ["✋", "hand raised_hand", hand],
  ["👍", "+1 thumbsup", thumb],
  ["👎", "-1 thumbsdown", `<g transform="rotate(180 12 12)">${thumb}</g>`],
  ["🙋", "raising_hand", dot(11, 8, 4, SKIN) + fill("#5b6ee1", "M4 22c0-5 3-8.5 7-8.5S18 17 18 22z") + line(SKIN, "M17.5 17 20 6", 3)],
  ["👋", "wave", `<g transform="rotate(-25 12 12)">${hand}</g>`],
  ["🐢", "turtle", dot(19.8, 12.2, 2.7, "#6cbb5a") + fill("#6cbb5a", "M4.5 15h4v5h-4zM13 15h4v5h-4z") + fill("#2f7d46", "M2 16a8.2 8.2 0 0 1 16.4 0z") + line("#6cbb5a", "M6.5 15l2-4.5h3.5l2 4.5", 1.4) + dot(20.4, 11.6, .7, "#222")],
  ["⏳", "hourglass_flowing_sand", hourglass("M8.5 8h7L12 12zM8.5 18.8h7L12 15.5z")],
  ["⌛", "hourglass", hourglass("M8 18.8h8v-2L12 14l-4 2.8z")],
  ["⏸️", "double_vertical_bar pause_button", tile(BLUE) + fill("#fff", "M7.5 7h3v10h-3zM13.5 7h3v10h-3z")],
  ["⏹️", "black_square_for_stop stop_button", tile(BLUE) + fill("#fff", "M7.5 7.5h9v9h-9z")],
  ["⏭️", "black_right_pointing_double_triangle_with_vertical_bar next_track_button", tile(BLUE) + fill("#fff", "M5 7l5.5 5L5 17zM10.5 7l5.5 5-5.5 5zM16.5 7H19v10h-2.5z")],
  ["▶️", "arrow_forward", tile(BLUE) + fill("#fff", "M8.5 6.5 17.5 12l-9 5.5z")],
  ["⬆️", "arrow_up", tile(BLUE) + line("#fff", "M12 18V6.5M7 11.5l5-5 5 5", 2.6)],
  ["↩️", "leftwards_arrow_with_hook", tile(BLUE) + line("#fff", "M9.5 6 5.5 10l4 4M5.5 10H15a3.5 3.5 0 0 1 0 7h-3", 2.2)],
  ["🔁", "repeat", tile(BLUE) + line("#fff", "M6 11.5V10a2.5 2.5 0 0 1 2.5-2.5H18M15.5 5 18 7.5 15.5 10M18 12.5V14a2.5 2.5 0 0 1-2.5 2.5H6M8.5 14 6 16.5 8.5 19", 1.9)],
  ["▫️", "white_small_square", `<rect x="8" y="8" width="8" height="8" rx="1.5" fill="none" stroke="${GREY}" stroke-width="1.8"/>`],
  ["🔧", "wrench", fill(GREY, "M21.5 6.8a5.6 5.6 0 0 1-7.5 6.6L6.9 20.6a2.5 2.5 0 0 1-3.5-3.5L10.6 10A5.6 5.6 0 0 1 17.2 2.5L13.9 5.8l.7 3.6 3.6.7z")],
  ["📋", "clipboard", `<rect x="4" y="3.5" width="16" height="18.5" rx="2" fill="${BROWN}"/><rect x="6" y="6" width="12" height="14" fill="#fff"/><rect x="8.5" y="2" width="7" height="4" rx="1.2" fill="${GREY}"/>` + line(GREY, "M8.5 10h7M8.5 13h7M8.5 16h4.5", 1.3)],
  ["🏁", "checkered_flag", fill("#fff", "M5 3h15v11H5z") + fill("#222", "M5 3h3.75v3.67H5zM12.5 3h3.75v3.67H12.5zM8.75 6.67h3.75v3.66H8.75zM16.25 6.67H20v3.66h-3.75zM5 10.33h3.75V14H5zM12.5 10.33h3.75V14H12.5z") + `<path fill="none" stroke="#777" stroke-width=".8" d="M5 3h15v11H5z"/>` + line("#777", "M5 3v19", 1.8)],
  ["🚧", "construction", fill(AMBER, "M2 6h20v7H2z") + fill("#2b2b2b", "M5 6h4l-3 7H2.2zM12.5 6h4l-3 7h-4zM20 6h2v4l-1.2 3h-3.8z") + fill(GREY, "M5 13h2.2v8H5zM16.8 13H19v8h-2.2z")],
  ["🚚", "truck", fill(GREEN, "M1.5 6H14v11H1.5z") + fill(BLUE, "M14.5 9.5h4.5l3.5 4V17h-8z") + dot(6, 18, 2.5, "#333") + dot(18, 18, 2.5, "#333") + dot(6, 18, 1, "#ccc") + dot(18, 18, 1, "#ccc")],
  ["📦", "package", fill(BROWN, "M3 8h18v13H3z") + fill("#c98f55", "M5 3h14l2 5H3z") + fill("#e9d3b4", "M10.3 3h3.4l.5 8h-4.4z")],
  ["🩹", "adhesive_bandage", `<g transform="rotate(-45 12 12)"><rect x="1" y="7.5" width="22" height="9" rx="4.5" fill="#e8a678"/><rect x="7.8" y="7.5" width="8.4" height="9" fill="#f5d3b8"/>${dot(10.5, 10.5, 0.8, "#b9774b")}${dot(13.5, 10.5, 0.8, "#b9774b")}${dot(10.5, 13.5, 0.8, "#b9774b")}${dot(13.5, 13.5, 0.8, "#b9774b")}</g>`],
  ["💚", "green_heart", fill(GREEN, "M12 21C5 15.5 2 12 2 8.2A5.2 5.2 0 0 1 12 6.2a5.2 5.2 0 0 1 10 2C22 12 19 15.5 12 21z")],
  ["🏠", "house", fill("#e5d5b8", "M4.5 11h15v10.5h-15z") + fill(RED, "M12 2.5 23 12.5H1z") + fill(BROWN, "M10 14.5h4v7h-4z")],
  ["📌", "pushpin", fill(RED, "M14 2.5 21.5 10l-2 1-1.5-.4-3.5 3.5.2 3.5-1.5 1.2-8-8L6.4 9.3l3.5.2 3.5-3.5L13 4.5z") + line(GREY, "M8.5 15.5 3 21", 1.8)],
  ["🔥", "fire", fill("#f06a1f", "M12 1.5c1 4 6.5 6.5 6.5 12.5a6.5 6.5 0 0 1-13 0c0-3 1.5-4.5 2.5-6.5.8 1 1 2 1.8 2.7C11 8 12 5 12 1.5z") + fill("#ffd34d", "M12 12c.5 2 3 3 3 5.5a3 3 0 0 1-6 0c0-2 2-3 3-5.5z")],
  ["🔔", "bell", fill(AMBER, "M12 2.5a1.5 1.5 0 0 1 1.5 1.7A6 6 0 0 1 18 10v5l2 3H4l2-3v-5a6 6 0 0 1 4.5-5.8A1.5 1.5 0 0 1 12 2.5z") + dot(12, 20, 2, BROWN)],
  ["🔒", "lock", line(GREY, "M7.5 11V8a4.5 4.5 0 0 1 9 0v3", 2.4) + `<rect x="4.5" y="10.5" width="15" height="11" rx="2" fill="${AMBER}"/>`],
  ["📞", "telephone_receiver", fill("#444c56", "M5 2.5 9 3l1 5-2.5 2a14 14 0 0 0 6.5 6.5l2-2.5 5 1 .5 4c-.3 1.6-1.5 2.5-3 2.5A16.5 16.5 0 0 1 2.5 5.5c0-1.5.9-2.7 2.5-3z")],
  ["📈", "chart_with_upwards_trend", `<rect x="2" y="2" width="20" height="20" rx="2" fill="#eef2f6"/>` + line(RED, "M5 17l5-5 3 3 6-8", 2)],
  ["📉", "chart_with_downwards_trend", `<rect x="2" y="2" width="20" height="20" rx="2" fill="#eef2f6"/>` + line(BLUE, "M5 7l5 5 3-3 6 8", 2)],
  ["🎉", "tada", fill(AMBER, "M2 22 8 8l8 8z") + line(RED, "M14 8l2-4M17 12l4-2", 1.8) + dot(19, 5, 1.4, BLUE) + dot(12, 4, 1.2, GREEN) + dot(20, 15, 1.2, RED)],
  ["⏰", "alarm_clock", dot(12, 13, 8.5, RED) + dot(12, 13, 6.3, "#fff") + line("#333", "M12 9v4.2l3 1.8", 1.6) + line(RED, "M3 6.5 6.5 3.5M21 6.5l-3.5-3M6.5 20l-1.5 2M17.5 20l1.5 2", 2)],
  ["👉", "point_right", fill(SKIN, "M2.5 8.5c2-1.5 4.5-2 7-1.5l11 .8c1.8.2 1.8 2.7 0 2.9h-6v6.3c0 2-1.5 3-3.2 3H8c-3 0-5.5-2-5.5-5z")],
  ["💥", "boom", fill(AMBER, "M12 1l2.4 5.6L20 3.5l-1.6 6L24 12l-5.6 2.5 1.6 6-5.6-3.1L12 23l-2.4-5.6L4 20.5l1.6-6L0 12l5.6-2.5L4 3.5l5.6 3.1z") + dot(12, 12, 3.6, RED)],
  ["💾", "floppy_disk", `<rect x="2.5" y="2.5" width="19" height="19" rx="2" fill="#3c4652"/><rect x="7" y="2.5" width="10" height="7" fill="#cfd7df"/><rect x="5.5" y="12.5" width="13" height="9" fill="#fff"/>` + line(GREY, "M8 16h8M8 19h5", 1.2)],
  ["📅", "date calendar", `<rect x="3" y="4" width="18" height="17.5" rx="2" fill="#fff" stroke="${GREY}"/><path fill="${RED}" d="M3 6a2 2 0 0 1 2-2h14a2 2 0 0 1 2 2v4H3z"/>` + line("#333", "M7.5 14h2M11.5 14h2M15.5 14h1.5M7.5 17.8h2M11.5 17.8h2", 1.8)],
  ["📟", "pager", `<rect x="2" y="5" width="20" height="14" rx="2.5" fill="#3c4652"/><rect x="4.5" y="7.5" width="15" height="5.5" rx="1" fill="#b9d9a0"/>` + line("#2d4420", "M6.5 10.2h8", 1.5) + dot(7, 16, 1.2, RED) + dot(12, 16, 1.2, "#cfd7df") + dot(17, 16, 1.2, "#cfd7df")],
  ["🔀", "twisted_rightwards_arrows", tile(BLUE) + line("#fff", "M5 8h3l8 8h3M5 16h3l8-8h3M17 5.8 19.2 8 17 10.2M17 13.8l2.2 2.2-2.2 2.2", 1.8)],
  ["🔄", "arrows_counterclockwise", tile(BLUE) + line("#fff", "M7 9.5A5.5 5.5 0 0 1 17 9M17 5.5V9h-3.5M17 14.5A5.5 5.5 0 0 1 7 15M7 18.5V15h3.5", 1.9)],
  ["🔌", "electric_plug", line("#444c56", "M3 21c4 0 4-4 6.5-6.5", 2.2) + `<g transform="rotate(45 14 10)"><rect x="9.5" y="6.5" width="9" height="9" rx="2" fill="#444c56"/>${line(GREY, "M11.8 6V2.5M16.2 6V2.5", 1.8)}</g>`],
  ["🔎", "mag_right", dot(14, 9.5, 7, GREY) + dot(14, 9.5, 5, "#d8ecf7") + line(BROWN, "M9 14.5 3 20.5", 3.2)],
  ["🔓", "unlock", line(GREY, "M7.5 11V7a4.2 4.2 0 0 1 8.3-1", 2.4) + `<rect x="4.5" y="10.5" width="15" height="11" rx="2" fill="${AMBER}"/>`],
  ["🕳", "hole", `<ellipse cx="12" cy="14" rx="10" ry="5.5" fill="#3a3f45"/><ellipse cx="12" cy="13" rx="10" ry="5" fill="none" stroke="${GREY}"/>`],
  ["😴", "sleeping", disc(AMBER) + line("#5a4200", "M6.5 11c.8 1 2.2 1 3 0M14.5 11c.8 1 2.2 1 3 0", 1.5) + `<ellipse cx="12" cy="16" rx="2" ry="2.4" fill="#5a4200"/>` + line(BLUE, "M17.5 1.5h4l-4 4h4", 1.5)],
  ["🚩", "triangular_flag_on_post", line(BROWN, "M5 2v20", 2) + fill(RED, "M6 3l15 5.5L6 14z")],
  ["🛟", "ring_buoy", disc(RED) + fill("#fff", "M9.6 2.3h4.8v5H9.6zM9.6 16.7h4.8v5H9.6zM2.3 9.6h5v4.8h-5zM16.7 9.6h5v4.8h-5z") + dot(12, 12, 4.4, "#dfe9f2")],
  ["🛣", "motorway", tile("#5d7f4e") + fill("#4a5058", "M9.5 2h5L20 22H4z") + line("#fff", "M12 4v3M12 10v4M12 17v4", 1.6)],
  ["🧊", "ice_cube", fill("#bfe3f5", "M12 2l9 4.5v11L12 22l-9-4.5v-11z") + line("#7fb8d6", "M3 6.5l9 4.5 9-4.5M12 11v11", 1.3)],
  ["🧪", "test_tube", `<g transform="rotate(35 12 12)"><path fill="#e3edf3" stroke="${GREY}" d="M8.5 2.5h7v15a3.5 3.5 0 0 1-7 0z"/><path fill="${GREEN}" d="M9 11h6v6.5a3 3 0 0 1-6 0z"/></g>`],
  ["🧬", "dna", line(BLUE, "M7 2c0 7 10 13 10 20", 2) + line(RED, "M17 2c0 7-10 13-10 20", 2) + line(GREY, "M8.5 5h7M8.5 19h7M10.5 9.5h3M10.5 14.5h3", 1.3)],
  ["🧯", "fire_extinguisher", `<rect x="7" y="8" width="9" height="14" rx="3" fill="${RED}"/><rect x="9.5" y="4" width="4" height="4" fill="${GREY}"/>` + line("#333", "M12 4h5c2 0 3 1.5 3 4", 1.6) + fill("#fff", "M8.5 13h6v4h-6z")],
  ["🪓", "axe", line(BROWN, "M6 22 16 6", 2.6) + fill(GREY, "M11 3.5c4-2.5 8.5-1 10.5 3-3-.5-4.5 1-6 4z")],
  ["🗑", "wastebasket", fill(GREY, "M5 7h14l-1.5 14.5h-11z") + line("#fff", "M9.5 10.5l.5 8M14.5 10.5l-.5 8", 1.3) + line(GREY, "M3.5 6h17M9.5 5.5V3h5v2.5", 1.9)],
  ["ℹ️", "information_source", tile(BLUE) + fill("#fff", "M10.8 6h2.6v2.6h-2.6zM9.5 10.3h3.9v6h1.4v2H9.3v-2h1.6v-4H9.5z")],
  ["🟢", "large_green_circle", disc(GREEN, 9)],
  ["🟡", "large_yellow_circle", disc(AMBER, 9)],
  ["🔴", "red_circle", disc(RED, 9)],
  ["⚪", "white_circle", `<circle cx="12" cy="12" r="8.5" fill="#fff" stroke="${GREY}"/>`],
].map(([char, names, drawing]) => ({ char, bare: char.replace("\ufe0f", ""), names: names.split(" "), drawing }));

const byName = new Map(DRAWN.flatMap((one) => one.names.map((name) => [name, one])));
const byChar = new Map(DRAWN.map((one) => [one.bare, one]));

const PATTERN = new RegExp(`(?:${DRAWN.map((one) => one.bare).join("|")})\ufe0f?|:([a-z0-9_+'-]+)(?:::skin-tone-[2-6])?:`, "gu");

function picture(one, title) {
  const span = document.createElement("span");
  span.className = "emoji";
  span.title = title;
  span.setAttribute("role", "img");
  span.setAttribute("aria-label", title);
  span.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true">${one.drawing}</svg>`; // our own drawing, never a message's text
  return span;
}

/** A reaction's name as a node; ":name:" where there is no drawing. */
export function emojiNamed(name) {
  const one = byName.get(name.replace(/::skin-tone-[2-6]$/, ""));
  return one ? picture(one, `:${name}:`) : document.createTextNode(`:${name}:`);
}

/** Plain text as nodes, its emoji drawn. */
export function withEmoji(text) {
  const nodes = [];
  let end = 0;
  for (const found of text.matchAll(PATTERN)) {
    const one = found[1] ? byName.get(found[1]) : byChar.get(found[0].replace("\ufe0f", ""));
    if (!one) continue;
    nodes.push(document.createTextNode(text.slice(end, found.index)), picture(one, `:${one.names[0]}:`));
    end = found.index + found[0].length;
  }
  nodes.push(document.createTextNode(text.slice(end)));
  return nodes;
}
