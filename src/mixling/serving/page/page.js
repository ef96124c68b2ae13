// The page of `mixling serve`: sends queries to /v1/search and shows the passages. Text of documents is only ever set as text.
"use strict";
const $ = (id) => document.getElementById(id);
let words = {}, pageWords = {}, info = {}, searches = 0;
const RIGHT_TO_LEFT = new Set(["ar", "fa", "he", "ur", "ps", "ckb", "ug", "yi", "dv", "sd"]);
const direction = (code) => (RIGHT_TO_LEFT.has(code.split("-")[0]) ? "rtl" : "ltr");
const word = (name) => pageWords[name] || words.en[name] || name;

function languageName(code) {
  try { return new Intl.DisplayNames([document.documentElement.lang], { type: "language" }).of(code) || code; }
  catch { return code; }
}

function createElement(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function setPageLanguage(code) {
  pageWords = words[code] || words.en;
  document.documentElement.lang = code;
  document.documentElement.dir = direction(code);
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  for (const option of $("only").options) if (option.value) option.textContent = languageName(option.value);
  if (info.passages) $("about").textContent = `${info.passages.toLocaleString(code)} ${word("passages")} · ${info.model}`;
}

async function request(path, body) {
  const headers = {};
  const key = sessionStorage.getItem("key");
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  if (answer.status === 401) { $("keyfield").hidden = false; throw new Error(word("key_needed")); }
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error ? content.error.message : answer.statusText);
  return content;
}

function highlightedText(hit) {
  const text = createElement("p", undefined, { class: "text", lang: hit.language, dir: direction(hit.language) });
  const [begin, end] = hit.sentence || [0, 0];
  const letters = Array.from(hit.text); // the server counts characters, not UTF-16 units
  text.append(letters.slice(0, begin).join(""));
  if (end > begin) text.append(createElement("mark", letters.slice(begin, end).join("")));
  text.append(letters.slice(end).join(""));
  return text;
}

function resultItem(hit, queryLanguage, ranksByScore) {
  const item = createElement("li", undefined, { class: hit.language === queryLanguage ? "same-language" : "" });
  const head = createElement("div", undefined, { class: "head" });
  head.append(createElement("span", languageName(hit.language), { class: "badge" }));
  const open = createElement("button", hit.title || hit.document, { class: "open", type: "button", dir: "auto" });
  open.addEventListener("click", () => showDocument(hit).catch(showError));
  head.append(open);
  item.append(head, highlightedText(hit));
  if (ranksByScore) {
    const rank = ranksByScore.get(hit.id);
    const move = rank === undefined ? word("was_beyond") : rank === hit.rank ? word("was_same") : `${word("was_at")} ${rank}`;
    item.append(createElement("p", move, { class: "moved" }));
  }
  const why = createElement("details", undefined, { class: "why" });
  why.append(createElement("summary", word("why")));
  let reason = `${word("score")} ${hit.score.toFixed(3)}`;
  if (hit.language_offset !== undefined) {
    const centered = hit.score - hit.language_offset;
    reason += ` · ${word("language_offset")} ${hit.language_offset.toFixed(3)} · ${word("centered_score")} ${centered.toFixed(3)}`;
  }
  why.append(createElement("p", reason));
  item.append(why);
  return item;
}

function showLanguageShares(hits) {
  const count = new Map();
  for (const hit of hits) count.set(hit.language, (count.get(hit.language) || 0) + 1);
  const list = $("shares").querySelector("ul");
  list.replaceChildren(...[...count].sort((a, b) => b[1] - a[1]).map(([code, n]) => {
    const item = createElement("li", `${languageName(code)} ${n} `);
    item.append(createElement("meter", undefined, { min: 0, max: hits.length, value: n, "aria-label": `${languageName(code)} ${n}/${hits.length}` }));
    return item;
  }));
  $("shares").hidden = !hits.length;
}

async function search(event) {
  if (event) event.preventDefault();
  const query = $("query").value.trim();
  if (!query) return;
  const number = ++searches;
  if ($("key").value) sessionStorage.setItem("key", $("key").value);
  $("status").className = "";
  $("status").textContent = word("searching");
  try {
    if (!info.languages) await readInfo();
    const body = { query, k: 10, order: $("order").value, highlight: true };
    if (info.reranker) body.rerank = $("rerank").checked;
    const where = document.querySelector("input[name=where]:checked").value;
    const all = Object.keys(info.languages);
    let queryLanguage;
    if ($("only").value) body.languages = [$("only").value];
    else if (where !== "all") {
      queryLanguage = (await request("v1/search", { query, k: 1, rerank: false })).query_language;
      body.languages = where === "query-language" ? [queryLanguage] : all.filter((x) => x !== queryLanguage);
    }
    const answer = await request("v1/search", body);
    let ranksByScore = null;
    if ($("show-moves").checked) {
      const plain = await request("v1/search", { ...body, order: "score", k: 100, highlight: false, rerank: false });
      ranksByScore = new Map(plain.results.map((hit) => [hit.id, hit.rank]));
    }
    if (number !== searches) return; // a later search has begun
    queryLanguage = answer.query_language;
    $("results").replaceChildren(...answer.results.map((hit) => resultItem(hit, queryLanguage, ranksByScore)));
    showLanguageShares(answer.results);
    const doubt = answer.good_answer === false ? `${word("no_good_answer")} · ` : "";
    $("status").textContent = answer.results.length
      ? `${doubt}${answer.results.length} ${word("answers")} · ${word("query_in")} ${languageName(queryLanguage)} · ${Math.round(answer.ms)} ms`
      : word("nothing");
    history.replaceState(null, "", `?q=${encodeURIComponent(query)}`);
  } catch (error) {
    if (number === searches) showError(error);
  }
}

function showError(error) {
  $("status").className = "error";
  $("status").textContent = `${word("failed")}: ${error.message}`;
}

async function showDocument(hit) {
  const content = await request(`v1/document?id=${encodeURIComponent(hit.document)}`);
  $("doctitle").textContent = content.title || content.document;
  $("doctitle").dir = "auto";
  $("docaddress").textContent = content.address;
  let end = 0; // passages overlap: show each character once
  const parts = content.passages.map((p) => {
    const text = Array.from(p.text).slice(Math.max(0, end - p.begin)).join("");
    end = p.end;
    return createElement("p", text, { lang: content.language, dir: direction(content.language) });
  });
  $("doctext").replaceChildren(...parts);
  $("document").showModal();
}

async function readInfo() {
  info = await request("v1/info");
  for (const code of Object.keys(info.languages)) $("only").append(createElement("option", languageName(code), { value: code }));
  $("rerankfield").hidden = !info.reranker;
  setPageLanguage(document.documentElement.lang);
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

async function start() {
  words = await (await fetch("words.json")).json();
  for (const code of Object.keys(words)) $("page-language").append(createElement("option", words[code].name, { value: code }));
  const code = navigator.languages.map((x) => x.split("-")[0]).find((x) => words[x]) || "en";
  $("page-language").value = code;
  setPageLanguage(code);
  $("page-language").addEventListener("change", () => { setPageLanguage($("page-language").value); if (searches) search(); });
  $("search-form").addEventListener("submit", search);
  for (const input of document.querySelectorAll("input[name=where], #order, #only, #rerank, #show-moves")) input.addEventListener("change", () => search());
  await readInfo().catch(showError);
  const query = new URLSearchParams(location.search).get("q");
  if (query) { $("query").value = query; await search(); }
}
start().catch(showError);
