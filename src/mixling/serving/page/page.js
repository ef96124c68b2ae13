// The page of `mixling serve`: asks /v1/search, shows what it answers. All that comes from documents is set as text.
"use strict";
const $ = (id) => document.getElementById(id);
let words = {}, said = {}, info = {}, asked = 0;
const RIGHT = new Set(["ar", "fa", "he", "ur", "ps", "ckb", "ug", "yi", "dv", "sd"]);
const direction = (code) => (RIGHT.has(code.split("-")[0]) ? "rtl" : "ltr");
const word = (name) => said[name] || words.en[name] || name;

function nameOf(code) {
  try { return new Intl.DisplayNames([document.documentElement.lang], { type: "language" }).of(code) || code; }
  catch { return code; }
}

function make(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function speak(code) {
  said = words[code] || words.en;
  document.documentElement.lang = code;
  document.documentElement.dir = direction(code);
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = word(one.dataset.word);
  for (const one of $("only").options) if (one.value) one.textContent = nameOf(one.value);
  if (info.passages) $("about").textContent = `${info.passages.toLocaleString(code)} ${word("passages")} · ${info.model}`;
}

async function call(path, body) {
  const headers = {};
  const key = sessionStorage.getItem("key");
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  if (answer.status === 401) { $("keyfield").hidden = false; throw new Error(word("wantskey")); }
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error ? found.error.message : answer.statusText);
  return found;
}

function marked(row) {
  const text = make("p", undefined, { class: "text", lang: row.language, dir: direction(row.language) });
  const [begin, end] = row.sentence || [0, 0];
  const letters = Array.from(row.text); // the server counts characters, not halves of them
  text.append(letters.slice(0, begin).join(""));
  if (end > begin) text.append(make("mark", letters.slice(begin, end).join("")));
  text.append(letters.slice(end).join(""));
  return text;
}

function result(row, own, places) {
  const item = make("li", undefined, { class: row.language === own ? "own" : "" });
  const head = make("div", undefined, { class: "head" });
  head.append(make("span", nameOf(row.language), { class: "badge" }));
  const open = make("button", row.title || row.document, { class: "open", type: "button", dir: "auto" });
  open.addEventListener("click", () => show(row).catch(fail));
  head.append(open);
  item.append(head, marked(row));
  if (places) {
    const before = places.get(row.id);
    const moved = before === undefined ? word("wasfar") : before === row.rank ? word("same") : `${word("was")} ${before}`;
    item.append(make("p", moved, { class: "moved" }));
  }
  const why = make("details", undefined, { class: "why" });
  why.append(make("summary", word("why")));
  let reason = `${word("score")} ${row.score.toFixed(3)}`;
  if (row.language_offset !== undefined) reason += ` · ${word("usual")} ${row.language_offset.toFixed(3)} · ${word("lead")} ${(row.score - row.language_offset).toFixed(3)}`;
  why.append(make("p", reason));
  item.append(why);
  return item;
}

function shares(rows) {
  const count = new Map();
  for (const row of rows) count.set(row.language, (count.get(row.language) || 0) + 1);
  const list = $("shares").querySelector("ul");
  list.replaceChildren(...[...count].sort((a, b) => b[1] - a[1]).map(([code, n]) => {
    const item = make("li", `${nameOf(code)} ${n} `);
    item.append(make("meter", undefined, { min: 0, max: rows.length, value: n, "aria-label": `${nameOf(code)} ${n}/${rows.length}` }));
    return item;
  }));
  $("shares").hidden = !rows.length;
}

async function ask(event) {
  if (event) event.preventDefault();
  const query = $("query").value.trim();
  if (!query) return;
  const turn = ++asked;
  if ($("key").value) sessionStorage.setItem("key", $("key").value);
  $("status").className = "";
  $("status").textContent = word("looking");
  try {
    if (!info.languages) await facts();
    const body = { query, k: 10, order: $("order").value, highlight: true };
    const where = document.querySelector("input[name=where]:checked").value;
    const all = Object.keys(info.languages);
    let own;
    if ($("only").value) body.languages = [$("only").value];
    else if (where !== "all") {
      own = (await call("v1/search", { query, k: 1 })).query_language;
      body.languages = where === "own" ? [own] : all.filter((x) => x !== own);
    }
    const found = await call("v1/search", body);
    let places = null;
    if ($("moved").checked) {
      const plain = await call("v1/search", { ...body, order: "score", k: 100, highlight: false });
      places = new Map(plain.results.map((row) => [row.id, row.rank]));
    }
    if (turn !== asked) return; // a later question was asked meanwhile
    own = found.query_language;
    $("results").replaceChildren(...found.results.map((row) => result(row, own, places)));
    shares(found.results);
    $("status").textContent = found.results.length
      ? `${found.results.length} ${word("answers")} · ${word("asked")} ${nameOf(own)} · ${Math.round(found.ms)} ms`
      : word("nothing");
    history.replaceState(null, "", `?q=${encodeURIComponent(query)}`);
  } catch (error) {
    if (turn === asked) fail(error);
  }
}

function fail(error) {
  $("status").className = "error";
  $("status").textContent = `${word("failed")}: ${error.message}`;
}

async function show(row) {
  const found = await call(`v1/document?id=${encodeURIComponent(row.document)}`);
  $("doctitle").textContent = found.title || found.document;
  $("doctitle").dir = "auto";
  $("docaddress").textContent = found.address;
  let end = 0; // passages overlap: show each character once
  const parts = found.passages.map((p) => {
    const text = Array.from(p.text).slice(Math.max(0, end - p.begin)).join("");
    end = p.end;
    return make("p", text, { lang: found.language, dir: direction(found.language) });
  });
  $("doctext").replaceChildren(...parts);
  $("document").showModal();
}

async function facts() {
  info = await call("v1/info");
  for (const code of Object.keys(info.languages)) $("only").append(make("option", nameOf(code), { value: code }));
  speak(document.documentElement.lang);
}

document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
  if (event.key === "/" && !typing) { event.preventDefault(); $("query").focus(); }
  if ((event.key === "j" || event.key === "k") && !typing) {
    const all = [...document.querySelectorAll("#results .open")];
    const next = all.indexOf(document.activeElement) + (event.key === "j" ? 1 : -1);
    if (all[next]) all[next].focus();
  }
});

async function begin() {
  words = await (await fetch("words.json")).json();
  for (const code of Object.keys(words)) $("tongue").append(make("option", words[code].itself, { value: code }));
  const wanted = navigator.languages.map((x) => x.split("-")[0]).find((x) => words[x]) || "en";
  $("tongue").value = wanted;
  speak(wanted);
  $("tongue").addEventListener("change", () => { speak($("tongue").value); if (asked) ask(); });
  $("ask").addEventListener("submit", ask);
  for (const one of document.querySelectorAll("input[name=where], #order, #only, #moved")) one.addEventListener("change", () => ask());
  await facts().catch(fail);
  const given = new URLSearchParams(location.search).get("q");
  if (given) { $("query").value = given; await ask(); }
}
begin().catch(fail);
