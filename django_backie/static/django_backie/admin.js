// Copy buttons. Without scripts they stay hidden, and nothing else depends on this file.
"use strict";
{
    async function copy(button) {
        const source = document.getElementById(button.dataset.bkCopy);
        const words = button.textContent;
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = button.dataset.bkCopied;
        window.setTimeout(() => { button.textContent = words; }, 1500);
    }

    function prepare() {
        if (!navigator.clipboard) {
            return; // Not served over HTTPS: browsers offer no clipboard.
        }
        for (const button of document.querySelectorAll("[data-bk-copy]")) {
            button.hidden = false;
            button.addEventListener("click", () => copy(button));
        }
    }

    if (document.readyState === "loading") {
        document.addEventListener("DOMContentLoaded", prepare);
    } else {
        prepare();
    }
}
