"""What people see of the jobs. Django's admin imports this package; nothing else of django-backie does."""

from django.apps import apps

if apps.models_ready and all(map(apps.is_installed, ("django.contrib.admin", "django_backie"))):
    from .jobs import JobAdmin
    from .pauses import PauseAdmin
    from .schedules import ScheduleAdmin

    __all__ = ["JobAdmin", "PauseAdmin", "ScheduleAdmin"]
