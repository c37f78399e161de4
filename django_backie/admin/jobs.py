"""Jobs in Django's admin: a list and a page to read, three verbs to act."""

from __future__ import annotations

from functools import partial, update_wrapper
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import ShowFacets
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..models import Job
from . import databases, display, page, pauses
from .actions import INLINE_LIMIT, JobActions, perform, reason_in
from .changelist import JobChangeList
from .columns import JobColumns
from .filters import DatabaseFilter, QueueFilter, StateFilter, TaskFilter, WindowFilter
from .paginator import BoundedPaginator
from .search import as_id, search
from .verbs import VERBS, Verb


@admin.register(Job)
class JobAdmin(JobColumns, JobActions, admin.ModelAdmin):  # type: ignore[type-arg]
    """The job table. Rows are written by the mirror only, so nothing here adds, changes or deletes."""

    list_display = (
        "state_badge",
        "task_name",
        "arguments_preview",
        "queue_name",
        "attempts",
        "waited",
        "ran",
        "when",
    )
    list_display_links = ("task_name",)
    list_filter = (StateFilter, QueueFilter, TaskFilter, WindowFilter, DatabaseFilter)
    list_per_page = 50
    actions = tuple(verb.action for verb in VERBS.values())
    search_fields = ("task",)
    search_help_text = _("A task’s name or part of it, queue:name, or the id of a job.")
    sortable_by = ()
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    paginator = BoundedPaginator
    empty_value_display = display.NOTHING
    change_list_template = "admin/django_backie/job/change_list.html"
    change_form_template = "admin/django_backie/job/change_form.html"

    class Media:
        """Everything is a file of our own, so that the strictest content security policy holds."""

        css = {"all": ("django_backie/admin.css", "django_backie/job.css")}
        js = ("django_backie/admin.js",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: jobs are enqueued by code."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        """Refuse: a row is a copy of what Redis holds."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        """Refuse: jobs are pruned after their retention."""
        return False

    def has_payload_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        """Tell whether the user may see what tasks are given, return and raise."""
        return request.user.has_perm(f"{self.opts.app_label}.view_payload")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Return the jobs of the chosen database; the signed body stays there."""
        return databases.reading(super().get_queryset(request), request).defer("body")

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Allow our own filters only: any other lookup could scan the table, or guess what is hidden."""
        return any(_allows(spec, lookup) for spec in self.get_list_filter(request))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Job | None:
        """Return a job from whichever database holds it, so that its address names none."""
        job_id = as_id(str(object_id))
        if job_id is None:
            return None
        queryset = self.get_queryset(request)
        for alias in [queryset.db, *databases.others(queryset)]:
            if job := queryset.using(alias).filter(pk=job_id).first():
                return job
        return None

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns; the arguments only to those who may see them."""
        hidden = set() if self.has_payload_permission(request) else {"arguments_preview"}
        return [name for name in super().get_list_display(request) if name not in hidden]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[JobChangeList]:
        """Return our change list."""
        return JobChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """Return the jobs that the search box asks for; never twice the same one."""
        # Others, such as the choice of a foreign key, have no change list that would see to an index.
        return search(queryset, search_term, hide=SEARCH_VAR in request.GET), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, or at once the job whose id was searched for."""
        if found := self._searched_job(request):
            return HttpResponseRedirect(self._job_url(request, found))
        context = {"title": capfirst(str(self.opts.verbose_name_plural)), **(extra_context or {})}
        response = super().changelist_view(request, context)
        shown: dict[str, Any] = getattr(response, "context_data", None) or {}
        if "cl" in shown:
            shown.update(selection_words(shown["cl"]), paused=pauses.notices())
        return response

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a job's page."""
        job = self._readable_job(request, object_id)
        if request.method not in {"GET", "HEAD"}:
            raise PermissionDenied
        if job is None:
            return self._nowhere(request, object_id)
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request, self.change_form_template, self._page_context(request, job) | (extra_context or {})
        )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show who did what to the job."""
        self._readable_job(request, object_id)
        return super().history_view(request, object_id, extra_context)

    def verb_view(self, request: HttpRequest, object_id: str, verb: Verb) -> HttpResponse:
        """Do what a button of the job's page asks for."""
        job = self._readable_job(request, object_id)
        if not self.has_verb_permission(request, verb):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if job is None:
            return self._nowhere(request, object_id)
        perform(request, [job], job._state.db or "", verb, reason_in(request))
        return HttpResponseRedirect(self._job_url(request, job))

    def get_urls(self) -> list[URLPattern]:
        """Return Django's addresses and one for each verb."""
        return [self._verb_path(verb) for verb in VERBS.values()] + super().get_urls()

    def _verb_path(self, verb: Verb) -> URLPattern:
        view = update_wrapper(partial(self.verb_view, verb=verb), self.verb_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_{verb.name}"
        return path(f"<uuid:object_id>/{verb.name}/", self.admin_site.admin_view(view), name=name)

    def _readable_job(self, request: HttpRequest, object_id: Any) -> Job | None:
        job = self.get_object(request, unquote(str(object_id)))
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        return job

    def _nowhere(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        text = _("There is no job %(id)s; jobs are removed some time after they have ended.")
        messages.warning(request, text % {"id": unquote(str(object_id))})
        return HttpResponseRedirect(self._url("changelist"))

    def _searched_job(self, request: HttpRequest) -> Job | None:
        job_id = as_id(request.GET.get("q", "")) if request.method == "GET" else None
        return self.get_object(request, str(job_id)) if job_id and self.has_view_permission(request) else None

    def _url(self, view: str, *args: Any) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{view}"
        return reverse(name, args=args, current_app=self.admin_site.name)

    def _kept(self, request: HttpRequest, url: str) -> str:
        filters = {"preserved_filters": self.get_preserved_filters(request), "opts": self.opts}
        return str(add_preserved_filters(filters, url))

    def _job_url(self, request: HttpRequest, job: Job) -> str:
        return self._kept(request, self._url("change", quote(job.pk)))

    def _page_context(self, request: HttpRequest, job: Job) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            **page.context(job, self._url("changelist"), payload=self.has_payload_permission(request, job)),
            "title": display.short_task(job.task),
            "subtitle": None,
            "original": job,
            "object_id": str(job.pk),
            "opts": self.opts,
            "media": self.media,
            "change": True,
            "is_popup": False,
            "has_view_permission": True,
            "preserved_filters": self.get_preserved_filters(request),
            "history_url": self._kept(request, self._url("history", quote(job.pk))),
            "buttons": [
                (verb, self._kept(request, self._url(verb.name, job.pk)))
                for verb in VERBS.values()
                if verb.applies_to(job.state) and self.has_verb_permission(request, verb)
            ],
        }


def _allows(spec: Any, lookup: str) -> bool:
    if name := getattr(spec, "parameter_name", None):
        return bool(lookup == name)
    field = str(spec[0] if isinstance(spec, tuple) else spec)  # A subclass may filter by fields as usual.
    return lookup == field or lookup.startswith(f"{field}__")


def selection_words(changelist: JobChangeList) -> dict[str, str]:
    """Return what the action bar says about "all that match", as an action takes at most ``INLINE_LIMIT``."""
    found = changelist.paginator.found
    count = display.number(min(found, INLINE_LIMIT))
    if found > INLINE_LIMIT or changelist.edge:
        return {
            "select_all_words": _("Select the newest %(count)s that match") % {"count": count},
            "selection_note_all": _("The newest %(count)s selected") % {"count": count},
        }
    words = ngettext("Select %(count)s job that matches", "Select all %(count)s jobs that match", found)
    return {"select_all_words": words % {"count": count}}
