"""Addresses of the shop."""

from django.urls import path

from . import views

app_name = "shop"
urlpatterns = [
    path("", views.front, name="front"),
    path("latest/", views.latest, name="latest"),
    path("sales/", views.count, name="count"),
    path("sales/<uuid:job>/", views.sales, name="sales"),
    path("orders/<str:number>/", views.order, name="order"),
    path("orders/<str:number>/jobs/", views.order_jobs, name="order_jobs"),
]
