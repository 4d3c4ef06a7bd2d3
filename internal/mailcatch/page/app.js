// The page of a mail catcher. All that a mail has is put into the page as text; its HTML is shown in a frame that the
// server has shut off.
"use strict"

const api = "api/v1/messages"
const $ = id => document.getElementById(id)

// make makes an element with a class, a text and children.
function make(name, cls, text, ...children) {
	const e = document.createElement(name)
	if (cls) e.className = cls
	if (text !== undefined && text !== null) e.textContent = text
	e.append(...children)
	return e
}

const state = {
	query: "", before: [], // numbers that the pages so far began below
	mails: [], more: false, unread: 0, total: 0,
	id: "", mail: null, tab: "",
	asked: 0, // of the list, so that a late answer is dropped
}

async function call(path, options) {
	const res = await fetch(path, options)
	if (res.status === 401) location.reload() // to the form that asks for the token
	const body = await res.json()
	if (!res.ok) throw new Error(body.error)
	return body
}

const address = a => a.name || a.address
const whole = a => a.name ? `${a.name} <${a.address}>` : a.address

function size(n) {
	if (n < 1024) return n + " B"
	for (const unit of ["KiB", "MiB", "GiB"]) {
		n /= 1024
		if (n < 1024) return n.toFixed(n < 10 ? 1 : 0) + " " + unit
	}
}

function when(time) {
	const d = new Date(time), now = new Date()
	const two = n => String(n).padStart(2, "0")
	const clock = two(d.getHours()) + ":" + two(d.getMinutes())
	if (d.toDateString() === now.toDateString()) return clock + ":" + two(d.getSeconds())
	return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock}`
}

// The list.

async function load() {
	const asked = ++state.asked
	const q = new URLSearchParams({limit: 50})
	if (state.query) q.set("q", state.query)
	if (state.before.length) q.set("before", state.before.at(-1))
	try {
		const l = await call(api + "?" + q)
		if (asked !== state.asked) return
		Object.assign(state, {mails: l.mails, more: l.more, total: l.total, unread: l.unread, partial: l.partial})
	} catch (e) {
		if (asked === state.asked) $("count").textContent = e.message
		return
	}
	drawList()
}

function item(m) {
	const who = m.from.address ? address(m.from) : (m.sender || "<>")
	const li = make("li", m.unread ? "unread" : "")
	li.dataset.id = m.id
	const a = make("a", "", null,
		make("div", "row", null, make("span", "who", who), make("span", "when", when(m.received))),
		make("div", "row", null, make("span", "subject", m.subject || "(no subject)"),
			make("span", "clip", m.attachments ? m.attachments + (m.attachments > 1 ? " files" : " file") : "")),
		make("div", "snippet", m.snippet || "\u00a0"))
	a.href = "#" + m.id
	a.title = "To: " + m.recipients.slice(0, 10).join(", ")
	li.append(a)
	return li
}

function drawList() {
	const list = $("mails"), top = list.scrollTop
	list.replaceChildren(...state.mails.map(item))
	list.scrollTop = top
	choose()
	$("count").textContent = state.unread ? `${state.unread} unread of ${state.total}` : state.total === 1 ? "1 mail" : `${state.total} mails`
	document.title = (state.unread ? `(${state.unread}) ` : "") + "Mail"
	list.hidden = !state.mails.length
	$("empty").hidden = !list.hidden
	$("empty").querySelector(".large").textContent = state.total ? "Nothing found" : "No mail"
	$("hint").hidden = state.total > 0
	$("paging").hidden = !state.more && !state.before.length && !state.partial
	$("partial").hidden = !state.partial
	$("older").disabled = !state.more
	$("newer").disabled = !state.before.length
	$("clear").textContent = state.query ? "Delete found" : "Delete all"
	$("clear").disabled = !state.mails.length && !state.before.length
}

function choose() {
	for (const li of $("mails").children) li.classList.toggle("chosen", li.dataset.id === state.id)
}

// One mail.

async function open(id) {
	state.id = id
	document.body.classList.toggle("reading", id !== "")
	choose()
	if (!id) return close()
	let m
	try {
		m = await call(`${api}/${id}`)
	} catch (e) {
		if (state.id === id) close(e.message)
		return
	}
	if (state.id !== id) return
	state.mail = m
	draw(m)
	if (m.unread) mark(id, true)
}

function close(why) {
	state.mail = null
	$("shown").hidden = true
	$("nothing").hidden = false
	$("nothing").firstElementChild.textContent = why || "Choose a mail."
	$("pane").replaceChildren()
}

function draw(m) {
	$("nothing").hidden = true
	$("shown").hidden = false
	$("mail").scrollTop = 0
	$("subject").textContent = m.subject || "(no subject)"
	$("download").href = `${api}/${m.id}/raw?download=1`
	const fields = []
	const field = (name, value) => value && fields.push(make("dt", "", name), make("dd", "", value))
	field("From", m.from.address ? whole(m.from) : "")
	field("To", m.to.map(whole).join(", "))
	field("Cc", m.cc.map(whole).join(", "))
	const seen = [...m.to, ...m.cc].map(a => a.address.toLowerCase())
	const blind = m.recipients.filter(r => !seen.includes(r.toLowerCase()))
	if (m.sender !== m.from.address || blind.length)
		field("Envelope", `${m.sender || "<>"} → ${m.recipients.join(", ")}`)
	field("Date", m.date)
	field("Came", [when(m.received), size(m.size), m.protocol, m.peer && "from " + m.peer].filter(Boolean).join(" · "))
	$("fields").replaceChildren(...fields)
	$("files").hidden = !m.files.length
	$("files").replaceChildren(...m.files.map(f => {
		const a = make("a", "button", null, make("span", "", "↓ " + f.name), make("span", "size", size(f.size)))
		a.href = `${api}/${m.id}/parts/${f.part}`
		a.title = f.type
		return a
	}))
	$("cut").hidden = !m.cut.length
	$("cut").textContent = "Not all is shown: the mail is beyond " + m.cut.join(", ") + "."
	const tabs = []
	if (m.html) tabs.push("HTML")
	if (m.text || !m.html) tabs.push("Text")
	if (m.html) tabs.push("Source")
	if (m.links.length) tabs.push("Links")
	tabs.push("Headers", "Raw")
	$("tabs").replaceChildren(...tabs.map(t => {
		const b = make("button", "", t)
		b.setAttribute("role", "tab")
		b.onclick = () => show(t)
		return b
	}))
	show(tabs.includes(state.tab) ? state.tab : tabs[0])
}

async function show(tab) {
	const m = state.mail
	state.tab = tab
	for (const b of $("tabs").children) b.setAttribute("aria-selected", b.textContent === tab)
	const pane = make("div"), put = (...e) => $("pane").replaceChildren(...e)
	switch (tab) {
	case "HTML": {
		const frame = make("iframe")
		frame.setAttribute("sandbox", "allow-popups allow-popups-to-escape-sandbox") // no scripts, no forms, no origin
		frame.setAttribute("referrerpolicy", "no-referrer")
		frame.title = "The mail's HTML"
		frame.src = `${api}/${m.id}/html`
		return put(frame)
	}
	case "Text":
		return put(make("pre", "text", m.text || "The mail has no text."))
	case "Source":
		return put(make("pre", "", m.html))
	case "Links":
		pane.append(make("ul", "", null, ...m.links.map(l => {
			const a = make("a", "", l)
			a.href = l
			a.target = "_blank"
			a.rel = "noreferrer noopener"
			return make("li", "", null, a)
		})))
		return put(make("p", "dim", "Nobody has asked for these but you, when you click."), pane)
	case "Headers":
		return put(make("table", "", null, ...m.headers.map(h =>
			make("tr", "", null, make("td", "", h.name), make("td", "", h.value)))))
	case "Raw": {
		put(make("p", "dim", "…"))
		const res = await fetch(`${api}/${m.id}/raw`)
		const most = 512 << 10
		let text = ""
		const reader = res.body.pipeThrough(new TextDecoderStream()).getReader()
		for (;;) {
			const {done, value} = await reader.read()
			if (done) break
			text += value
			if (text.length > most) {
				reader.cancel()
				text = text.slice(0, most) + "\n… the rest is in the download."
				break
			}
		}
		if (state.mail === m && state.tab === "Raw") put(make("pre", "", text))
	}
	}
}

async function mark(id, read) {
	await call(`${api}/${id}/read`, {method: "PUT", body: JSON.stringify({read})})
	load()
}

async function remove(id) {
	const i = state.mails.findIndex(m => m.id === id)
	const next = state.mails[i + 1] || state.mails[i - 1]
	await call(`${api}/${id}`, {method: "DELETE"}).catch(() => {}) // it is gone already
	location.hash = next && i >= 0 ? next.id : ""
	load()
}

// step goes to a mail beside the one that is shown.
function step(by) {
	const i = state.mails.findIndex(m => m.id === state.id)
	const m = state.mails[i < 0 ? 0 : i + by]
	if (!m) return
	location.hash = m.id
	$("mails").querySelector(`[data-id="${m.id}"]`).scrollIntoView({block: "nearest"})
}

// What people do.

let typing
$("query").oninput = () => {
	clearTimeout(typing)
	typing = setTimeout(search, 250)
}
$("search").onsubmit = e => {
	e.preventDefault()
	search()
}
function search() {
	clearTimeout(typing)
	const q = $("query").value.trim()
	if (q === state.query) return
	state.query = q
	state.before = []
	load()
}
$("older").onclick = () => {
	state.before.push(state.mails.at(-1).number)
	$("mails").scrollTop = 0
	load()
}
$("newer").onclick = () => {
	state.before.pop()
	$("mails").scrollTop = 0
	load()
}
$("clear").onclick = async () => {
	const q = state.query
	if (!confirm(q ? `Delete all mails that are found by “${q}”?` : `Delete all ${state.total} mails?`)) return
	await call(api + (q ? "?" + new URLSearchParams({q}) : ""), {method: "DELETE"})
	location.hash = ""
	state.before = []
	load()
}
$("delete").onclick = () => remove(state.id)
$("unread").onclick = () => mark(state.id, false)
$("back").onclick = () => { location.hash = "" }
window.onhashchange = () => open(/^#[0-9a-f]{20}$/.test(location.hash) ? location.hash.slice(1) : "")

document.onkeydown = e => {
	if (e.target === $("query")) {
		if (e.key === "Escape") $("query").blur()
		return
	}
	if (e.ctrlKey || e.metaKey || e.altKey) return
	const keys = {
		j: () => step(1), k: () => step(-1), "/": () => $("query").focus(), Escape: () => { location.hash = "" },
		u: () => state.id && mark(state.id, false), Delete: () => state.id && remove(state.id),
	}
	if (!keys[e.key]) return
	e.preventDefault()
	keys[e.key]()
}

// News come by themselves. One list is asked for at a time, and once more if more has come meanwhile.

let loading = false, again = false
async function news() {
	if (loading) {
		again = true
		return
	}
	loading = true
	do {
		again = false
		await load()
	} while (again)
	loading = false
}

const source = new EventSource("events")
source.onopen = () => {
	$("state").className = "live"
	$("state").title = "New mail appears by itself"
	news()
}
source.onerror = () => {
	$("state").className = ""
	$("state").title = "No connection to the server"
}
source.addEventListener("changed", news)

call("api/v1/info").then(i => {
	if (!i.smtp) return
	$("hint").replaceChildren("Send some to ", make("code", "", i.smtp), ": it appears here.")
}).catch(() => {})
load()
window.onhashchange()
