"""A web page that shows what an accelerator makes of a drawing or an image: `taylorvit serve`.

    classifier = SimulatedClassifier(model)              or a board
    serve(listener, classifier)                          until it is interrupted

    page (static/)  --->  web.app  --->  web.submissions   drawing, image file or example --> pixels
                                   --->  web.answers       Classifier.classify, and the integer model beside it

`web.classifier.Classifier` is the seam to the hardware. The page uses nothing from the network. Needs the extra `web`.
"""
