// Keeps each <backie-progress src="..."> up to date until its job has ended. Without this file it shows how far the job
// was when the page was made. Tells the page of the end by an event, "backie:ended".
const PAUSE = 1000;
const LONGEST_PAUSE = 30000;

class BackieProgress extends HTMLElement {
    connectedCallback() {
        this.pause = PAUSE;
        this.again();
    }

    disconnectedCallback() {
        window.clearTimeout(this.timer);
    }

    again() {
        window.clearTimeout(this.timer);
        if (this.isConnected && !this.hasAttribute("ended")) {
            this.timer = window.setTimeout(() => this.look(), this.pause);
        }
    }

    async look() {
        if (document.hidden) {
            document.addEventListener("visibilitychange", () => this.again(), { once: true });
            return;
        }
        try {
            const response = await fetch(this.getAttribute("src"), { headers: { Accept: "application/json" } });
            if (response.status === 404) {
                return; // The job is kept no longer, or the page has been open for too long.
            }
            if (!response.ok) {
                throw new Error(response.statusText);
            }
            this.show(await response.json());
            this.pause = PAUSE;
        } catch {
            this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
        }
        this.again();
    }

    show(facts) {
        for (const part of this.querySelectorAll("[data-part]")) {
            const text = facts[part.dataset.part];
            if (part.textContent !== text) {
                part.textContent = text;
            }
        }
        const bar = this.querySelector("progress");
        put(bar, "value", facts.value);
        put(bar, "aria-valuenow", facts.value);
        put(bar, "aria-valuetext", facts.amount || null);
        this.dataset.state = facts.state;
        if (facts.is_final) {
            this.setAttribute("ended", "");
            this.dispatchEvent(new CustomEvent("backie:ended", { bubbles: true, detail: facts }));
        }
    }
}

function put(element, name, value) {
    if (value === null) {
        element.removeAttribute(name);
    } else {
        element.setAttribute(name, value);
    }
}

customElements.define("backie-progress", BackieProgress);
